import type { LogFields } from "../../src/logger.ts";
import type { AccessTokenTarget, LoginSession, LoginSessionHandle, LoginSessionId } from "../../src/session/login-session.ts";
import type { BorrowedAccessToken, CallHost } from "../../src/tool/call-host.ts";
import type { SignOutRevocation } from "../../src/tool/tool.ts";

/** Stands in every access token of the fake, so that a leak is found by looking for it. */
export const canary = "canary-access-token";

/**
 * A connection's side of a call without a connection. Access tokens are a counter: `canary-access-token-1` until
 * somebody reports it as rejected, then `-2`, and so on.
 */
export class FakeCallHost implements CallHost {
  readonly toolName = "test_tool";
  readonly acquired: { readonly target: AccessTokenTarget; readonly rejected: string | undefined }[] = [];
  readonly progressed: { readonly progress: number; readonly total: number | undefined; readonly message: string | undefined }[] = [];
  readonly logged: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  readonly #abort = new AbortController();
  #counter = 1;
  /** Replace it to fail, to wait, or to answer something else. */
  onAcquire: (token: string, rejected: string | undefined) => Promise<string> | string = (token) => token;
  /** False: a rejected access token is handed out again. */
  renews = true;
  session: LoginSession = liveSession();
  seen: ReturnType<CallHost["clients"]> = [];
  revocation: SignOutRevocation = "done";

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What happens to a running call at logout, cancellation and disconnect. */
  abort(reason?: unknown): void {
    this.#abort.abort(reason);
  }

  /** The refresh that happens behind the call's back. */
  refresh(): void {
    this.#counter += 1;
  }

  get currentToken(): string {
    return `${canary}-${this.#counter}`;
  }

  loginSession(): LoginSession {
    return this.session;
  }

  async acquire(target: AccessTokenTarget, options: { readonly rejected?: string | undefined } = {}): Promise<BorrowedAccessToken> {
    this.acquired.push({ target, rejected: options.rejected });
    if (options.rejected === this.currentToken && this.renews) this.refresh();
    return { accessToken: await this.onAcquire(this.currentToken, options.rejected), expiresAt: 60_000 };
  }

  progress(progress: number, total?: number, message?: string): void {
    this.progressed.push({ progress, total, message });
  }

  log(message: string, fields?: LogFields): void {
    this.logged.push({ message, fields });
  }

  clients(): ReturnType<CallHost["clients"]> {
    return this.seen;
  }

  async signOut(): Promise<{ readonly state: string; readonly revocation: SignOutRevocation }> {
    return { state: "ended", revocation: this.revocation };
  }
}

/** A live login session of alice, with a canary in each secret. */
export function liveSession(changes: Partial<LoginSession> = {}): LoginSession {
  return {
    id: "internal-id" as LoginSessionId,
    handle: "ls_alice" as LoginSessionHandle,
    authorizationServer: "main",
    principal: { issuer: "https://as.example", subject: "alice", clientId: "latchkey" },
    profile: { name: "Alice Adams", email: "alice@example.com" },
    origin: { kind: "demo" },
    createdAt: 0,
    lastUsedAt: 0,
    epoch: 1,
    generation: 1,
    version: 1,
    state: "live",
    refreshToken: `${canary}-refresh` as LoginSession["refreshToken"],
    accessTokens: [
      {
        target: { scopes: [] },
        accessToken: `${canary}-1` as LoginSession["accessTokens"][number]["accessToken"],
        grantedScopes: [],
        obtainedAt: 0,
        expiresAt: 30_000,
      },
    ],
    attempts: [],
    observed: { rotation: "rotates", introspection: "unknown" },
    health: { failures: 0, refusals: 0, lastRefreshAt: 1_000 },
    revocation: "none",
    debts: [],
    nextDueAt: 20_000,
    ...changes,
  };
}
