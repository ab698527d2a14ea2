import { LatchkeyError } from "../errors.ts";
import type { LocalProfile } from "../session/local-profile.ts";
import type { LoginSession, RevocationAnswer } from "../session/login-session.ts";
import { revocationAnswer } from "../session/login-session.ts";
import type { LoginSessions } from "../session/login-sessions.ts";
import type { ProfileStore } from "../session/store.ts";
import type { Logins } from "../token/logins.ts";
import type { Logout } from "../token/logout.ts";
import type { VerifiedLogin } from "../token/ports.ts";

/** A profile and the login session that stands for it; `record` undefined: that was purged. */
export interface ProfileState {
  readonly profile: LocalProfile;
  readonly record: LoginSession | undefined;
}

/** What a sign-in did for its profile. `repaired`: the login session goes on with new tokens, and so do the processes that use it. */
export interface SignedIn {
  readonly kind: "new" | "repaired";
  readonly record: LoginSession;
}

export interface ProfilesOptions {
  readonly store: ProfileStore;
  readonly sessions: Pick<LoginSessions, "get">;
  readonly logins: Pick<Logins, "start" | "repair">;
  readonly logout: Pick<Logout, "end">;
}

/** So long a logout waits for the first answer of the authorization server. */
const revocationWaitMs = 5_000;

/** The profiles of the local side: who is signed in where, for all processes on the same store. */
export class Profiles {
  readonly #options: ProfilesOptions;

  constructor(options: ProfilesOptions) {
    this.#options = options;
  }

  /** Undefined: there is no such profile. Throws LatchkeyError `store_unavailable`, as everything here. */
  async find(name: string): Promise<ProfileState | undefined> {
    const profile = await this.#options.store.get(name);
    return profile && { profile, record: await this.#options.sessions.get(profile.loginSessionId) };
  }

  async list(): Promise<readonly ProfileState[]> {
    const profiles = await this.#options.store.list();
    return Promise.all(profiles.map(async (profile) => ({ profile, record: await this.#options.sessions.get(profile.loginSessionId) })));
  }

  /**
   * What to ask of the authorization server at a sign-in: whoever signs in beside another profile wants to be asked who it is,
   * and would get that one's user again otherwise.
   */
  async promptFor(name: string, authorizationServer: string): Promise<"login" | undefined> {
    const signedIn = (await this.list()).filter(({ record }) => isSignedIn(record));
    if (signedIn.some(({ profile }) => profile.name === name)) return undefined;
    return signedIn.some(({ record }) => record?.authorizationServer === authorizationServer) ? "login" : undefined;
  }

  /**
   * Takes a finished sign-in for the profile. The same user's repairs its login session in place. Another user's is refused, and
   * its tokens are revoked, unless the profile was logged out. Of two at one time one wins; the other is ended.
   * Throws LatchkeyError `forbidden`, `conflict`, `login_ended` or `login_failed`; the profile is as it was then.
   */
  async signedIn(name: string, login: VerifiedLogin): Promise<SignedIn> {
    const state = await this.find(name);
    if (state?.record !== undefined && isSignedIn(state.record)) return await this.#repair(name, state.record, login);
    const record = await this.#options.logins.start(login, { kind: "local", profile: name });
    const { issuer, subject, clientId } = login.principal;
    const next: LocalProfile = { name, loginSessionId: record.id, principal: { issuer, subject, clientId } };
    if (await this.#options.store.replace(next, state?.profile.loginSessionId)) return { kind: "new", record };
    await this.#options.logout.end(record.id, "logout");
    const problem = `Another sign-in for the profile "${name}" was finished at the same time. That one counts, and this one was ended.`;
    throw new LatchkeyError("conflict", problem);
  }

  /** Ends the login session of the profile and revokes its tokens. Undefined: nobody is signed in. Twice gives the same. */
  async logOut(name: string): Promise<{ readonly record: LoginSession; readonly revocation: RevocationAnswer } | undefined> {
    const state = await this.find(name);
    if (state === undefined) return undefined;
    const { profile, record } = state;
    if (record === undefined) {
      await this.#options.store.remove(name, profile.loginSessionId);
      return undefined;
    }
    if (record.state === "ended") return { record, revocation: revocationAnswer(record.revocation) };
    const { loginSession, revocation } = await this.#options.logout.end(record.id, "logout", { waitForRevocationMs: revocationWaitMs });
    return { record: loginSession, revocation };
  }

  async #repair(name: string, record: LoginSession, login: VerifiedLogin): Promise<SignedIn> {
    try {
      return { kind: "repaired", record: await this.#options.logins.repair(record.handle, login) };
    } catch (error) {
      if (!(error instanceof LatchkeyError) || error.code !== "forbidden") throw error;
      const { issuer, clientId } = record.principal;
      const isSameClient = login.principal.issuer === issuer && login.principal.clientId === clientId;
      const whose = isSameClient ? nameOf(record) : `${nameOf(record)} at ${issuer}, client ${clientId}`;
      const problem = `You signed in as ${login.profile.name ?? login.principal.subject}, but the profile "${name}" belongs to ${whose}. It stays as it was. Sign in as that user, log the profile out first, or use another profile.`;
      throw new LatchkeyError("forbidden", problem, { cause: error });
    }
  }
}

/** Whether the login session stands for its user: it serves, or waits for the same user's new sign-in. */
export function isSignedIn(record: LoginSession | undefined): record is LoginSession {
  return record !== undefined && record.state !== "ended";
}

/** The user of a login session, for people. */
export function nameOf({ principal, profile }: LoginSession): string {
  return profile.name ?? profile.email ?? principal.subject;
}
