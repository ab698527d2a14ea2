import type { LoginSessionId, Principal } from "./login-session.ts";

/** A profile: a named place for the one login session that the local processes of a user share. */
export interface LocalProfile {
  /** 1 to 64 letters, digits, `_` and `-`. */
  readonly name: string;
  /** The login session that stands for it. Never two profiles have the same, and no value comes back: it names the version of the profile too. */
  readonly loginSessionId: LoginSessionId;
  /** Who signed in. It says who may sign in again, also after the login session itself was purged. */
  readonly principal: Pick<Principal, "issuer" | "subject" | "clientId">;
}
