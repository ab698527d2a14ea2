import { type Clock, sleep } from "../clock.ts";
import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { VerifiedLogin } from "../token/ports.ts";
import type { SignedIn } from "./profiles.ts";
import type { BegunDeviceLogin, SignInOutcome, SignInServers } from "./sign-in-servers.ts";

export interface DeviceSignInOptions {
  readonly authorizationServer: string;
  readonly servers: Pick<SignInServers, "beginDeviceLogin" | "pollDeviceLogin">;
  /** Takes the finished sign-in. */
  readonly finish: (login: VerifiedLogin) => Promise<SignedIn>;
  readonly clock: Clock;
}

/** RFC 8628, section 3.5: by so much the interval grows at each `slow_down`. */
const slowDownSeconds = 5;
const longestIntervalSeconds = 60;

/** One sign-in on another device (RFC 8628): the user enters a code there, and we ask until that has happened. */
export class DeviceSignIn {
  readonly #options: DeviceSignInOptions;
  readonly #begun: BegunDeviceLogin;
  readonly #closed = new AbortController();
  /** It never rejects. */
  readonly outcome: Promise<SignInOutcome>;

  private constructor(options: DeviceSignInOptions, begun: BegunDeviceLogin) {
    this.#options = options;
    this.#begun = begun;
    this.outcome = this.#poll();
  }

  /** Throws LatchkeyError `authorization_server_unavailable` or `login_failed`. */
  static async begin(options: DeviceSignInOptions): Promise<DeviceSignIn> {
    return new DeviceSignIn(options, await options.servers.beginDeviceLogin(options.authorizationServer));
  }

  /** What to tell the user. */
  get instructions(): string {
    const { userCode, verificationUri, verificationUriComplete } = this.#begun;
    const whole = verificationUriComplete === undefined ? "" : ` (or open ${verificationUriComplete})`;
    return `On any device, open ${verificationUri} and enter the code ${userCode}${whole}.`;
  }

  /** False once nobody can use the code any more. */
  get isOpen(): boolean {
    return !this.#closed.signal.aborted && this.#options.clock.now() < this.#begun.expiresAt;
  }

  /** Stops asking. Twice does nothing. */
  close(): void {
    this.#closed.abort();
  }

  async #poll(): Promise<SignInOutcome> {
    const { clock, servers, authorizationServer, finish } = this.#options;
    const { signal } = this.#closed;
    let seconds = this.#begun.intervalSeconds;
    try {
      for (;;) {
        await sleep(clock, seconds * 1000, signal);
        if (signal.aborted) return { kind: "over" };
        if (clock.now() >= this.#begun.expiresAt) return { kind: "failed", error: expired() };
        const poll = await servers.pollDeviceLogin(authorizationServer, this.#begun.deviceCode).catch(whenUnavailable);
        if (poll.kind === "signed_in") return { kind: "signed_in", signedIn: await finish(poll.login) };
        if (poll.kind === "slow_down") seconds = Math.min(longestIntervalSeconds, seconds + slowDownSeconds);
      }
    } catch (thrown) {
      return { kind: "failed", error: asLatchkeyError(thrown) };
    } finally {
      this.close();
    }
  }
}

/** Section 3.5: a server that cannot be reached is asked again, less often. */
function whenUnavailable(thrown: unknown): { readonly kind: "slow_down" } {
  if (asLatchkeyError(thrown).code === "authorization_server_unavailable") return { kind: "slow_down" };
  throw thrown;
}

function expired(): LatchkeyError {
  return new LatchkeyError("login_failed", "The code has expired: nobody entered it in time. Begin again.");
}
