import type { StoredLoginSession } from "../sealed-login-sessions.ts";
import { orUndefined } from "./redis-values.ts";

/**
 * Lua: `parse(row)` takes a row apart; nil: it is none. A row is one text, its parts with a space in between: a hash per login session would
 * take a fifth more memory. None of the parts has a space in it. The
 * hash of the sid stands behind that of the user, after a comma: rows of older versions have none.
 */
export const parseRow = `
local function parse(row)
  local change, made, version, state, key, handle, user, refresh, consumed, imported, generation, created, sealed =
    string.match(row, '^(%d+) (%d+) (%d+) (%S+) (%S*) (%S*) (%S*) (%S*) (%S*) (%S*) (%S+) (%S+) (%S*)$')
  if not change then return nil end
  local who, sid = string.match(user, '^([^,]*),?(.*)$')
  return { change = change, made = made, version = version, state = state, key = key, handle = handle, user = who,
    hashes = { refresh, consumed, imported, sid } }
end`;

/** The parts of a row that come after `change` and `made`, which the script numbers. */
export function rowTail(stored: StoredLoginSession, keyId: string | undefined): string {
  const {
    version,
    state,
    handle,
    userHash,
    refreshHash = "",
    consumedHash = "",
    importedHash = "",
    sidHash,
    generation,
    createdAt,
    sealed,
  } = stored;
  const user = sidHash === undefined ? userHash : `${userHash},${sidHash}`;
  return [...[version, state, keyId ?? "", handle, user, refreshHash, consumedHash, importedHash], ...[generation, createdAt, sealed]].join(
    " ",
  );
}

/** A row as it stands in Redis. What somebody else has written there does not unseal. */
export function toStoredLoginSession(id: string, row: string): StoredLoginSession {
  const [, , version, state = "", , handle = "", user = "", refresh, consumed, imported, generation, createdAt, sealed = ""] =
    row.split(" ");
  const [userHash = "", sid] = user.split(",");
  return {
    ...{ id, handle, userHash, state, sealed },
    sidHash: orUndefined(sid),
    refreshHash: orUndefined(refresh),
    consumedHash: orUndefined(consumed),
    importedHash: orUndefined(imported),
    version: Number(version),
    generation: Number(generation),
    createdAt: Number(createdAt),
  };
}

/** When it was inserted, in numbers of changes. */
export function madeAt(row: string): number {
  return Number(row.split(" ", 2)[1]);
}
