import { type Clock, sleep } from "../clock.ts";
import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Refusal } from "../mcp/served-connection.ts";
import type { LoginSession } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import { deadLoginError } from "../token/acquire-error.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import type { Connection } from "../transport/connection.ts";
import type { ConnectionRegistry } from "../transport/connection-registry.ts";
import { DeviceSignIn } from "./device-sign-in.ts";
import { LoopbackSignIn } from "./loopback-sign-in.ts";
import { isSignedIn, nameOf, type ProfileState, type Profiles, type SignedIn } from "./profiles.ts";
import type { SignInServers } from "./sign-in-servers.ts";

/** What is there once the store is open. */
export interface BehindProfile {
  readonly profiles: Profiles;
  readonly sessions: Pick<LoginSessions, "get">;
  readonly registry: Pick<ConnectionRegistry, "adopt">;
  readonly servers: SignInServers;
}

export interface ProfileConnectionOptions {
  readonly profile: string;
  /** Opens the store, or gives what was opened before. Throws LatchkeyError `configuration_invalid` or `store_unavailable`. */
  readonly behind: () => Promise<BehindProfile>;
  /** By name, in the order of the configuration. `loopbackPort`: to which the browser must come back; 0: to any. */
  readonly authorizationServers: readonly { readonly name: string; readonly loopbackPort: number }[];
  /** What a user types in a terminal to sign in. */
  readonly loginCommand: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A device code that the authorization server does not give within this time is left out. */
const deviceCodePatienceMs = 2_000;
/** They tell of a login session, or end it, and need no access token. */
const toolsWithoutLogin: readonly string[] = ["session_status", "sign_out"];

/**
 * The stdio connection of a profile: before each tool call it sees to it that the connection is bound to the login session
 * that the profile has, or says why not and how the user signs in. The first login fixes whose connection it is.
 */
export class ProfileConnection {
  readonly #options: ProfileConnectionOptions;
  #connection: Connection | undefined;
  #signIn: Promise<LoopbackSignIn> | undefined;
  #opened: LoopbackSignIn | undefined;
  #device: Promise<DeviceSignIn | undefined> | undefined;
  #lastFailure: string | undefined;

  constructor(options: ProfileConnectionOptions) {
    this.#options = options;
  }

  /** Whose calls are admitted. Once, before the first of them. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  /** The link of the sign-in that is under way. */
  get link(): string | undefined {
    return this.#opened?.isOpen === true ? this.#opened.link : undefined;
  }

  /** See `ServedConnection.admit`. */
  async admit(tool: string): Promise<Refusal | undefined> {
    try {
      return await this.#admit(tool);
    } catch (thrown) {
      const error = asLatchkeyError(thrown);
      if (error.code === "internal_error") this.#options.logger.error("A call could not be admitted.", { error });
      return { error };
    }
  }

  /** Stops what waits for the browser. */
  close(): void {
    void this.#signIn?.then((signIn) => signIn.close()).catch(() => {});
    void this.#device?.then((device) => device?.close());
    this.#signIn = undefined;
    this.#opened = undefined;
    this.#device = undefined;
  }

  async #admit(tool: string): Promise<Refusal | undefined> {
    const behind = await this.#options.behind();
    const bound = this.#bound();
    if (bound !== undefined && servesTokens(bound)) return this.#admitted();
    // Another process may have repaired or ended it a moment ago.
    const fresh = bound && (await behind.sessions.get(bound.id));
    if (fresh !== undefined && isSignedIn(fresh)) return await this.#judge(fresh, tool, behind);
    const state = await behind.profiles.find(this.#options.profile);
    if (state?.record === undefined || !isSignedIn(state.record)) return await this.#offer(this.#absence(state, bound), state, behind);
    if (bound !== undefined && !isSameUser(bound, state.record)) return { error: this.#foreign(state.record) };
    const adopted = await behind.registry.adopt(this.#mustHaveConnection(), state.record.id);
    return adopted ? await this.#judge(state.record, tool, behind) : await this.#offer(deadLoginError(state.record), state, behind);
  }

  async #judge(record: LoginSession, tool: string, behind: BehindProfile): Promise<Refusal | undefined> {
    if (servesTokens(record)) return this.#admitted();
    if (toolsWithoutLogin.includes(tool)) return undefined;
    const { profile } = this.#options;
    const { issuer, subject, clientId } = record.principal;
    const state = { profile: { name: profile, loginSessionId: record.id, principal: { issuer, subject, clientId } }, record };
    return await this.#offer(deadLoginError(record), state, behind);
  }

  /** Signed in: nothing needs to listen any more (B13). */
  #admitted(): undefined {
    this.close();
    return undefined;
  }

  #absence(state: ProfileState | undefined, bound: LoginSession | undefined): LatchkeyError {
    const ended = bound ?? state?.record;
    if (ended !== undefined) return deadLoginError(ended);
    return new LatchkeyError("login_required", `Nobody is signed in in the profile "${this.#options.profile}" yet.`);
  }

  #foreign(record: LoginSession): LatchkeyError {
    const problem = `This profile is now ${nameOf(record)}: restart the client. This connection stays with the user that it began with.`;
    return new LatchkeyError("forbidden", problem, { details: { profile: this.#options.profile } });
  }

  /** The refusal, with a link that signs in from here. */
  async #offer(reason: LatchkeyError, state: ProfileState | undefined, behind: BehindProfile): Promise<Refusal> {
    const { loginCommand, profile, logger } = this.#options;
    const details = { ...reason.details, profile };
    try {
      const signIn = await this.#openSignIn(state, behind);
      const failure = this.#takeFailure();
      const device = await this.#deviceInstructions(state, behind);
      const signedIn = signIn.outcome.then(({ kind }) => kind === "signed_in");
      const way = `Let the user open the link below in a browser on this machine, or run: ${loginCommand}.${device} Then repeat the call; this connection goes on.`;
      return { error: new LatchkeyError(reason.code, `${reason.message}${failure} ${way}`, { details }), loginUrl: signIn.link, signedIn };
    } catch (thrown) {
      const { message } = asLatchkeyError(thrown);
      logger.warn("A sign-in could not be offered.", { error: thrown });
      return { error: new LatchkeyError(reason.code, `${reason.message} Sign in with: ${loginCommand}. (${message})`, { details }) };
    }
  }

  async #openSignIn(state: ProfileState | undefined, behind: BehindProfile): Promise<LoopbackSignIn> {
    const running = this.#signIn;
    if (running !== undefined) {
      const signIn = await running.catch(() => undefined);
      // Another call may have opened the next one while we waited.
      if (this.#signIn !== running) return await this.#openSignIn(state, behind);
      if (signIn?.isOpen === true) {
        signIn.extend();
        return signIn;
      }
    }
    const { profile, clock } = this.#options;
    const offered = this.#offered(state);
    this.#signIn = LoopbackSignIn.open({
      profile,
      authorizationServers: offered.map(({ name }) => name),
      port: offered.find(({ loopbackPort }) => loopbackPort > 0)?.loopbackPort ?? 0,
      servers: behind.servers,
      promptFor: (server) => behind.profiles.promptFor(profile, server),
      finish: (login) => behind.profiles.signedIn(profile, login),
      clock,
    });
    this.#opened = await this.#signIn;
    return this.#opened;
  }

  /** A login session is repaired where it came from; whoever is new may choose. */
  #offered(state: ProfileState | undefined): ProfileConnectionOptions["authorizationServers"] {
    const own = isSignedIn(state?.record) ? state?.record?.authorizationServer : undefined;
    return this.#options.authorizationServers.filter(({ name }) => own === undefined || name === own);
  }

  /** A sentence about the device code, with a space before it; empty: there is none, or not in time. */
  async #deviceInstructions(state: ProfileState | undefined, behind: BehindProfile): Promise<string> {
    const [only, ...others] = this.#offered(state);
    if (only === undefined || others.length > 0) return "";
    const running = this.#device;
    const found = running && (await this.#inTime(running));
    if (found === "late") return "";
    if (found?.isOpen === true) return ` ${found.instructions}`;
    // Another call may have begun the next one while we waited.
    if (this.#device !== running) return await this.#deviceInstructions(state, behind);
    this.#device = this.#beginDevice(only.name, behind);
    const begun = await this.#inTime(this.#device);
    return begun === undefined || begun === "late" ? "" : ` ${begun.instructions}`;
  }

  async #inTime<T>(waited: Promise<T>): Promise<T | "late"> {
    const stop = new AbortController();
    const late = sleep(this.#options.clock, deviceCodePatienceMs, stop.signal).then(() => "late" as const);
    const first = await Promise.race([waited, late]);
    stop.abort();
    return first;
  }

  /** Why the last sign-in by device code failed, with a space before it; said once. */
  #takeFailure(): string {
    const failure = this.#lastFailure;
    this.#lastFailure = undefined;
    return failure === undefined ? "" : ` The last sign-in failed: ${failure}`;
  }

  async #beginDevice(authorizationServer: string, { servers, profiles }: BehindProfile): Promise<DeviceSignIn | undefined> {
    const { profile, clock, logger } = this.#options;
    try {
      if (!(await servers.offersDeviceLogin(authorizationServer))) return undefined;
      const finish = (login: VerifiedLogin): Promise<SignedIn> => profiles.signedIn(profile, login);
      const device = await DeviceSignIn.begin({ authorizationServer, servers, finish, clock });
      // Nobody waits for it: the next call that needs a login says what became of it.
      void device.outcome.then((outcome) => {
        if (outcome.kind === "failed") this.#lastFailure = outcome.error.message;
      });
      return device;
    } catch (error) {
      logger.info("There is no device code for a sign-in.", { error });
      return undefined;
    }
  }

  #bound(): LoginSession | undefined {
    const connection = this.#mustHaveConnection();
    return connection.binding === undefined ? undefined : connection.login.current();
  }

  #mustHaveConnection(): Connection {
    if (this.#connection === undefined) throw new LatchkeyError("internal_error", "The connection of the profile is missing.");
    return this.#connection;
  }
}

function servesTokens({ state }: LoginSession): boolean {
  return state === "live" || state === "refreshing" || state === "uncertain";
}

function isSameUser(one: LoginSession, other: LoginSession): boolean {
  return one.principal.issuer === other.principal.issuer && one.principal.subject === other.principal.subject;
}
