import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import { hashConnectionKey, newConnectionKey, randomSecret } from "../session/random.ts";
import type { WebServices } from "./web-services.ts";

const tenYearsSeconds = 10 * 365 * 24 * 3600;

export interface KeyRequest {
  readonly name: string;
  readonly expiresInSeconds?: number | undefined;
}

export interface MadeKey {
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly expires?: string | undefined;
  /** The secret itself, shown this once. */
  readonly key: string;
}

/** Reads what a key is to be. Throws LatchkeyError `invalid_request` with all problems in `details.problems`. */
export function readKeyRequest(body: Readonly<Record<string, unknown>>): KeyRequest {
  const { name, expiresInSeconds } = body;
  const trimmed = typeof name === "string" ? name.trim() : "";
  const isNameGood = trimmed.length >= 1 && trimmed.length <= 100 && !/\p{Cc}/u.test(trimmed);
  const isExpiryGood = expiresInSeconds === undefined || isLifetime(expiresInSeconds);
  if (isNameGood && isExpiryGood) return { name: trimmed, expiresInSeconds: isLifetime(expiresInSeconds) ? expiresInSeconds : undefined };
  const problems = [
    ...(isNameGood ? [] : ["name must be 1 to 100 visible characters"]),
    ...(isExpiryGood ? [] : [`expiresInSeconds must be a whole number from 1 to ${tenYearsSeconds} (ten years)`]),
  ];
  throw new LatchkeyError("invalid_request", `The connection key cannot be made: ${problems.join("; ")}.`, { details: { problems } });
}

/**
 * Makes a connection key of this login session and stores its hash. Throws LatchkeyError `conflict` when there are
 * `limit` already or the login session has ended, `login_required` when it has to be signed in again first.
 */
export async function makeConnectionKey(services: WebServices, record: LoginSession, request: KeyRequest, limit: number): Promise<MadeKey> {
  const { connectionKeys } = services.store;
  mustServe(record);
  const now = services.clock.now();
  for (const old of await connectionKeys.listByLoginSession(record.id))
    if (old.expiresAt !== undefined && old.expiresAt <= now) await connectionKeys.remove(record.id, old.id);
  const key = newConnectionKey();
  const id = `ck_${randomSecret().slice(0, 16)}`;
  const expiresAt = request.expiresInSeconds === undefined ? undefined : now + request.expiresInSeconds * 1000;
  await connectionKeys.insert(
    { id, hash: hashConnectionKey(key), loginSessionId: record.id, name: request.name, createdAt: now, expiresAt },
    limit,
  );
  // Read again: a logout in between has removed the keys that it found, and this one was not among them.
  const after = await services.sessions.get(record.id);
  if (after === undefined || after.state === "ended") {
    await connectionKeys.remove(record.id, id);
    throw hasEnded();
  }
  services.audit.record({ event: "connection_key_created", login: record.handle, key: id });
  return {
    id,
    name: request.name,
    created: new Date(now).toISOString(),
    expires: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
    key,
  };
}

function mustServe(record: LoginSession): void {
  switch (record.state) {
    case "live":
    case "refreshing":
    case "uncertain":
      return;
    case "login_required":
      throw new LatchkeyError("login_required", "This login session has to be signed in again before a key for it can be made.", {
        details: { login: record.handle, reason: record.reason?.code, signIn: `/login?repair=${record.handle}` },
      });
    case "ended":
      throw hasEnded();
  }
}

function hasEnded(): LatchkeyError {
  return new LatchkeyError("conflict", "This login session has ended; there are no more keys for it.");
}

function isLifetime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= tenYearsSeconds;
}
