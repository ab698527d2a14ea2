import { createHash, createHmac, randomBytes } from "node:crypto";
import type { BrowserSessionKey } from "./browser-session.ts";
import type { ConnectionKey, ConnectionKeyHash } from "./connection-key.ts";
import type { AttemptId, LoginSessionHandle, LoginSessionId, RefreshToken, RefreshTokenHash } from "./login-session.ts";

/** 256 random bits, base64url: cookies, states, keys, connection ids. */
export function randomSecret(): string {
  return randomBytes(32).toString("base64url");
}

export function newLoginSessionId(): LoginSessionId {
  return randomBytes(20).toString("base64url") as LoginSessionId;
}

export function newHandle(): LoginSessionHandle {
  return `ls_${randomBytes(12).toString("hex")}` as LoginSessionHandle;
}

export function newAttemptId(): AttemptId {
  return randomBytes(16).toString("base64url") as AttemptId;
}

export function newConnectionKey(): ConnectionKey {
  return `lk_${randomSecret()}` as ConnectionKey;
}

/** A connection key has 256 random bits, so a plain hash keeps it as well as a slow one would. */
export function hashConnectionKey(key: string): ConnectionKeyHash {
  return sha256(key) as ConnectionKeyHash;
}

export function hashBrowserCookie(value: string): BrowserSessionKey {
  return sha256(value) as BrowserSessionKey;
}

export function sha256(value: string): string {
  return createHash("sha256").update(value).digest("base64url");
}

/** Gives the keyed hash by which a refresh token is known again. */
export type RefreshTokenHasher = (token: RefreshToken) => RefreshTokenHash;

export function refreshTokenHasher(key: Buffer): RefreshTokenHasher {
  return (token) => createHmac("sha256", key).update(token).digest("base64url") as RefreshTokenHash;
}
