import { LatchkeyError } from "../../errors.ts";
import type { BrowserSession, BrowserSessionKey, BrowserSignIn } from "../../session/browser-session.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { BrowserSessionStore } from "../../session/store.ts";
import type { BrowserSessionRows } from "../browser-session-rows.ts";
import { expiringScript, type RedisExpiringRows } from "./redis-expiring-rows.ts";
import { jsonList, mustInteger, textsOf } from "./redis-values.ts";

/** Sign-ins of one browser that get in each other's way: one of them always comes through. */
const mostTries = 50;

/** Which browser session each login cookie has made; "": none. KEYS[3] onwards: the names of login cookies. */
const findMade = expiringScript(`
local out = {}
for at = 3, #KEYS do out[#out + 1] = redis.call('GET', KEYS[at]) or '' end
return out`);

/**
 * Writes all browser sessions of a sign-in, if nothing has changed since they were read. ARGV: how many login cookies, how many rows, the key
 * that is void or "", then what each login cookie's name must hold, then for each row its key, what it must be or "", what it
 * becomes, its end; last the end of the new one, which is the last row. KEYS[3] onwards: the names of the login cookies, the rows, the name
 * of the new one's login cookie, the row that is void. 0: read again.
 */
const signIn = expiringScript(`
local cookies, rows, void = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for at = 1, cookies do
  if (redis.call('GET', KEYS[2 + at]) or '') ~= ARGV[4 + at] then return 0 end
end
for at = 1, rows do
  local first = 4 + cookies + (at - 1) * 4
  local expected = ARGV[first + 2]
  if expected ~= '' and redis.call('GET', KEYS[2 + cookies + at]) ~= expected then return 0 end
end
if void ~= '' then drop(KEYS[4 + cookies + rows], void) end
for at = 1, rows do
  local first = 4 + cookies + (at - 1) * 4
  put(KEYS[2 + cookies + at], ARGV[first + 1], ARGV[first + 3], ARGV[first + 4])
end
local last = 4 + cookies + (rows - 1) * 4
local name = KEYS[3 + cookies + rows]
redis.call('SET', name, ARGV[last + 1])
redis.call('PEXPIRE', name, redis.call('PTTL', KEYS[2 + cookies + rows]))
return 1`);

interface Beside {
  readonly session: BrowserSession;
  readonly row: string;
}

/** Browser sessions in Redis. A row that was changed from outside is not used, and reported (B14). */
export class RedisBrowserSessions implements BrowserSessionStore {
  readonly #rows: RedisExpiringRows;
  readonly #checked: BrowserSessionRows;

  constructor(rows: RedisExpiringRows, checked: BrowserSessionRows) {
    this.#rows = rows;
    this.#checked = checked;
  }

  async get(key: BrowserSessionKey, now: number): Promise<BrowserSession | undefined> {
    const session = this.#read(key, await this.#rows.get(key));
    return session !== undefined && session.expiresAt > now ? session : undefined;
  }

  async signIn(each: BrowserSignIn): Promise<void> {
    for (let tried = 0; tried < mostTries; tried += 1) if (await this.#trySignIn(each)) return;
    throw new LatchkeyError("store_unavailable", "Too many sign-ins of this browser are finished at one time. Try again.", {
      retryable: true,
    });
  }

  async remove(key: BrowserSessionKey): Promise<void> {
    await this.#rows.drop(key);
  }

  /** What stands beside it is checked here, where the key of the check is; the script finds out whether it is still so. */
  async #trySignIn({ previous, next, loginCookies, since }: BrowserSignIn): Promise<boolean> {
    const names = loginCookies.map(nameOfMaker);
    const made = textsOf(await this.#rows.run(findMade, names, []));
    const beside = (await Promise.all(made.map((key, index) => this.#madeBy(key, loginCookies[index] ?? "")))).filter(
      (found) =>
        found !== undefined && found.session.signedInAt >= since && found.session.key !== previous && found.session.key !== next.key,
    ) as readonly Beside[];
    const loginSessionIds = [...new Set([...beside.map(({ session }) => session), next].flatMap((session) => session.loginSessionIds))];
    const rows = [...beside, { session: next, row: "" }].map(({ session, row }) => ({ session: { ...session, loginSessionIds }, row }));
    const args = [
      ...[names.length, rows.length, previous ?? "", ...made],
      ...rows.flatMap(({ session, row }) => [session.key, row, this.#text(session), session.expiresAt]),
    ];
    const keys = [...names, ...rows.map(({ session }) => session.key), nameOfMaker(next.madeBy), previous ?? next.key];
    return mustInteger(await this.#rows.run(signIn, keys, args)) === 1;
  }

  async #madeBy(key: string, loginCookie: string): Promise<Beside | undefined> {
    if (key === "") return undefined;
    const row = await this.#rows.get(key);
    const session = this.#read(key as BrowserSessionKey, row);
    return row !== undefined && session?.madeBy === loginCookie ? { session, row } : undefined;
  }

  #text(session: BrowserSession): string {
    const { loginSessionIds, createdAt, expiresAt, madeBy, signedInAt } = session;
    return JSON.stringify([loginSessionIds, createdAt, expiresAt, madeBy, signedInAt, this.#checked.mac(session)]);
  }

  #read(key: BrowserSessionKey, row: string | undefined): BrowserSession | undefined {
    if (row === undefined) return undefined;
    const { values, mac } = parse(row);
    return this.#checked.check({ key, ...values }, mac);
  }
}

/** Lies beside the rows, and is no key of one: those have no colon in them. */
function nameOfMaker(loginCookie: string): string {
  return `made-by:${loginCookie}`;
}

/** What was changed from outside may be anything; then the check fails. */
function parse(row: string): { readonly values: Omit<BrowserSession, "key">; readonly mac: string } {
  const [ids, createdAt, expiresAt, madeBy, signedInAt, mac] = jsonList(row);
  const loginSessionIds = Array.isArray(ids) ? ids.map((id) => String(id) as LoginSessionId) : [];
  return {
    values: {
      loginSessionIds,
      createdAt: Number(createdAt),
      expiresAt: Number(expiresAt),
      madeBy: String(madeBy),
      signedInAt: Number(signedInAt),
    },
    mac: String(mac),
  };
}
