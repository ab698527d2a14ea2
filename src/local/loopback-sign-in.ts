import { type Clock, sleep, type Timer } from "../clock.ts";
import { asLatchkeyError } from "../errors.ts";
import { randomSecret } from "../session/random.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import type { LocalAnswer, LocalPage } from "./local-page.ts";
import { type LoopbackListener, listenOnLoopback } from "./loopback-listener.ts";
import { nameOf, type SignedIn } from "./profiles.ts";
import type { SignInOutcome, SignInServers } from "./sign-in-servers.ts";

export interface LoopbackSignInOptions {
  readonly profile: string;
  /** Where the user may sign in; the first is asked by `begin`. With several, the page of `link` lets the user choose. */
  readonly authorizationServers: readonly string[];
  /** 0: a free one. */
  readonly port: number;
  readonly servers: SignInServers;
  readonly promptFor: (authorizationServer: string) => Promise<string | undefined>;
  /** Takes the finished sign-in. What it throws is shown on the page. */
  readonly finish: (login: VerifiedLogin) => Promise<SignedIn>;
  readonly clock: Clock;
}

interface Begun {
  readonly authorizationServer: string;
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** How long the user may take. */
const limitMs = 10 * 60_000;
/** A user who opens the link again and again begins anew each time. */
const mostBegun = 20;
/** How long the last page may take to the browser. */
const lastPageMs = 2_000;
const callbackPath = "/login/callback";

/**
 * One sign-in in a browser of this machine: authorization code with PKCE and a redirect to the loopback (RFC 8252). It listens
 * until the browser has come back once with a state that was given out here, or the time is up.
 */
export class LoopbackSignIn {
  readonly #options: LoopbackSignInOptions;
  readonly #secretPath = `/sign-in/${randomSecret()}`;
  readonly #begun = new Map<string, Begun>();
  readonly #outcome = Promise.withResolvers<SignInOutcome>();
  #listener: LoopbackListener | undefined;
  #timer: Timer | undefined;
  #isOpen = true;

  private constructor(options: LoopbackSignInOptions) {
    this.#options = options;
    this.extend();
  }

  /** Starts to listen. Throws LatchkeyError `configuration_invalid` when the port cannot be had. */
  static async open(options: LoopbackSignInOptions): Promise<LoopbackSignIn> {
    const signIn = new LoopbackSignIn(options);
    try {
      signIn.#listener = await listenOnLoopback(options.port, (url) => signIn.#answer(url));
    } catch (error) {
      signIn.close();
      throw error;
    }
    return signIn;
  }

  /** An address on this machine that leads to the authorization server's. Whoever has it can sign in: it is a secret. */
  get link(): string {
    return `${this.#origin}${this.#secretPath}`;
  }

  /** False once it has an outcome. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Resolves once the browser has its page. It never rejects. */
  get outcome(): Promise<SignInOutcome> {
    return this.#outcome.promise;
  }

  /** The address at the (first) authorization server. Throws LatchkeyError `authorization_server_unavailable`. */
  begin(): Promise<string> {
    return this.#begin(this.#options.authorizationServers[0] ?? "");
  }

  /** Somebody was told of it just now: the time begins anew. */
  extend(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(limitMs, () => this.close());
  }

  /** Stops listening. Twice does nothing. */
  close(): void {
    this.#end({ kind: "over" });
  }

  get #origin(): string {
    return this.#listener?.origin ?? "";
  }

  get #redirectUri(): string {
    return `${this.#origin}${callbackPath}`;
  }

  async #answer(url: URL): Promise<LocalAnswer> {
    if (url.pathname === this.#secretPath) return this.#start(url.searchParams.get("server") ?? undefined);
    if (url.pathname === callbackPath) return this.#complete(url);
    return { status: 404, title: "There is nothing here", text: ["Use the link that you were given."] };
  }

  async #start(asked: string | undefined): Promise<LocalAnswer> {
    const { authorizationServers } = this.#options;
    const server = asked ?? (authorizationServers.length === 1 ? authorizationServers[0] : undefined);
    if (server === undefined || !authorizationServers.includes(server)) return this.#choice();
    try {
      return { redirectTo: await this.#begin(server) };
    } catch (thrown) {
      const { code, message } = asLatchkeyError(thrown);
      const links = [{ href: this.#secretPath, text: "Try again" }];
      return { status: 503, title: "Signing in does not work now", text: [message, `Error code: ${code}.`], links };
    }
  }

  #choice(): LocalPage {
    const links = this.#options.authorizationServers.map((name) => ({
      href: `${this.#secretPath}?${new URLSearchParams({ server: name })}`,
      text: name,
    }));
    return { status: 200, title: "Where do you want to sign in?", text: ["Choose the service that knows you."], links };
  }

  async #begin(authorizationServer: string): Promise<string> {
    const { servers, promptFor } = this.#options;
    const prompt = await promptFor(authorizationServer);
    const { url, ...secrets } = await servers.beginLogin(authorizationServer, { redirectUri: this.#redirectUri, prompt });
    const [oldest] = this.#begun.keys();
    if (this.#begun.size >= mostBegun && oldest !== undefined) this.#begun.delete(oldest);
    this.#begun.set(secrets.state, { ...secrets, authorizationServer });
    return url;
  }

  async #complete(url: URL): Promise<LocalPage> {
    const state = url.searchParams.get("state") ?? "";
    const begun = this.#begun.get(state);
    this.#begun.delete(state);
    if (begun === undefined || !this.#isOpen) return stalePage();
    const { servers, finish, profile } = this.#options;
    const { authorizationServer, nonce, codeVerifier } = begun;
    try {
      const callback = { callbackUrl: url, redirectUri: this.#redirectUri, state, nonce, codeVerifier };
      const signedIn = await finish(await servers.completeLogin(authorizationServer, callback));
      this.#end({ kind: "signed_in", signedIn });
      const who = nameOf(signedIn.record);
      return {
        status: 200,
        title: `You are signed in as ${who}`,
        text: [`The profile "${profile}" is ${who} now. You can close this page and go on in your client.`],
      };
    } catch (thrown) {
      const error = asLatchkeyError(thrown);
      this.#end({ kind: "failed", error });
      const again = "To try again, ask for a new sign-in where you got this one.";
      return { status: 400, title: "Signing in did not work", text: [error.message, again, `Error code: ${error.code}.`] };
    }
  }

  #end(outcome: SignInOutcome): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer?.cancel();
    void this.#settle(outcome);
  }

  /** Whoever waits for the outcome may end the process, and the browser must have its page by then. */
  async #settle(outcome: SignInOutcome): Promise<void> {
    await Promise.race([this.#listener?.close(), sleep(this.#options.clock, lastPageMs)]);
    this.#outcome.resolve(outcome);
  }
}

/** For a redirect that finishes no sign-in of this listener (B7). */
function stalePage(): LocalPage {
  return {
    status: 400,
    title: "This sign-in cannot be finished",
    text: ["It was finished before, or was not begun here. Nobody was signed in by opening this page."],
  };
}
