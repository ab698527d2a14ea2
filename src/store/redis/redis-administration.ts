import type { LoginSessionState } from "../../session/login-session.ts";
import type { ResealStep, StoreAdministration, StoreStats } from "../../session/store-administration.ts";
import { renewIncarnation } from "../incarnation.ts";
import type { SealedRecords } from "../sealed-records.ts";
import { countAll, resealLoginSession, sealedOtherwise } from "./redis-administration-scripts.ts";
import { toStoredRecord } from "./redis-authorization-server-records.ts";
import { authorizationServerKeys, purgeRecords, resealRecord } from "./redis-authorization-server-scripts.ts";
import type { RedisDatabase } from "./redis-database.ts";
import type { RedisExpiringRows } from "./redis-expiring-rows.ts";
import { toStoredLoginSession } from "./redis-login-session-rows.ts";
import type { RedisMeta } from "./redis-meta.ts";
import { mustInteger, textsOf } from "./redis-values.ts";

const states: readonly LoginSessionState[] = ["live", "refreshing", "uncertain", "login_required", "ended"];
const rowsPerStep = 200;

/** Which rows hold what is sealed, in the order in which they are sealed anew. The pattern finds the id of the key. */
const sealedRows = {
  "login-sessions": "^%d+ %d+ %d+ %S+ (%S*) ",
  "authorization-server-records": "^%S* %S* %S* %S* %S* (%S*) ",
} as const;
type SealedRows = keyof typeof sealedRows;

export interface RedisAdministrationParts {
  readonly db: RedisDatabase;
  readonly meta: RedisMeta;
  readonly records: SealedRecords;
  /** In this order. */
  readonly expiring: readonly [
    browserSessions: RedisExpiringRows,
    loginTransactions: RedisExpiringRows,
    importIntents: RedisExpiringRows,
    usedIds: RedisExpiringRows,
  ];
}

/** What an operator does with a store in Redis, while processes use it. */
export class RedisAdministration implements StoreAdministration {
  readonly #db: RedisDatabase;
  readonly #meta: RedisMeta;
  readonly #records: SealedRecords;
  readonly #expiring: readonly RedisExpiringRows[];

  constructor({ db, meta, records, expiring }: RedisAdministrationParts) {
    this.#db = db;
    this.#meta = meta;
    this.#records = records;
    this.#expiring = expiring;
  }

  async stats(now: number): Promise<StoreStats> {
    const keys = ["counters", "due", "connection-keys", "authorization-server-records", "authorization-server-ends", "replicas"];
    const reply = await this.#db.run(countAll, [...keys, ...this.#expiring.map(({ ends }) => ends)], [now]);
    const [counted, ...others]: readonly unknown[] = Array.isArray(reply) ? reply : [];
    const [due = 0, connectionKeys = 0, ending = 0, lasting = 0, replicas = 0, ...expiring] = others.map(mustInteger);
    const [browserSessions = 0, loginTransactions = 0, importIntents = 0, usedIds = 0] = expiring;
    const counters = countersOf(textsOf(counted));
    const byState = states.map((state): [LoginSessionState, number] => [state, counters.get(`state ${state}`) ?? 0]);
    const sealed = [...counters].filter(([name, count]) => name.startsWith("sealed ") && count > 0);
    return {
      loginSessions: Object.fromEntries(byState) as Record<LoginSessionState, number>,
      ...{ due, connectionKeys, browserSessions, loginTransactions, importIntents, usedIds, replicas },
      authorizationServerRecords: ending + lasting,
      sealedWith: Object.fromEntries(sealed.map(([name, count]) => [name.slice("sealed ".length), count])),
    };
  }

  async purge(now: number): Promise<number> {
    let purged = 0;
    for (const rows of this.#expiring) purged += await rows.purge(now);
    for (;;) {
      const dropped = mustInteger(await this.#db.run(purgeRecords, authorizationServerKeys, [now, rowsPerStep]));
      if (dropped === 0) return purged;
      purged += dropped;
    }
  }

  async reseal(after: string | undefined, limit: number): Promise<ResealStep> {
    const [rows, cursor] = placeOf(after);
    const { activeKeyId } = this.#records.sealer;
    // The cursor is Redis's own, and may bring a few more than asked for.
    const [next = "0", ...found] = textsOf(await this.#db.run(sealedOtherwise, [rows], [cursor, limit, activeKeyId, sealedRows[rows]]));
    let resealed = 0;
    let unreadable = 0;
    for (let at = 0; at + 1 < found.length; at += 2) {
      const [id = "", row = ""] = found.slice(at, at + 2);
      const sealed = await this.#sealAnew(rows, id, row);
      if (sealed === undefined) unreadable += 1;
      else resealed += await this.#put(rows, id, row, sealed);
    }
    if (next !== "0") return { next: `${rows} ${next}`, resealed, unreadable };
    return { next: rows === "login-sessions" ? "authorization-server-records 0" : undefined, resealed, unreadable };
  }

  async renewIncarnation(): Promise<void> {
    await renewIncarnation(this.#meta);
  }

  #sealAnew(rows: SealedRows, id: string, row: string): Promise<string | undefined> {
    return rows === "login-sessions"
      ? this.#records.loginSessions.reseal(toStoredLoginSession(id, row))
      : this.#records.authorizationServerRecords.reseal(id, toStoredRecord(id, row).sealed);
  }

  /** Only where it was not written anew in the meantime: then it is sealed with the active key already. */
  async #put(rows: SealedRows, id: string, row: string, sealed: string): Promise<number> {
    const args = [id, row, this.#records.sealer.activeKeyId, sealed];
    return mustInteger(
      await (rows === "login-sessions"
        ? this.#db.run(resealLoginSession, ["login-sessions", "counters"], args)
        : this.#db.run(resealRecord, authorizationServerKeys, args)),
    );
  }
}

function placeOf(after: string | undefined): readonly [SealedRows, string] {
  const [rows, cursor = "0"] = after?.split(" ") ?? [];
  return [rows === "authorization-server-records" ? rows : "login-sessions", cursor];
}

function countersOf(reply: readonly string[]): ReadonlyMap<string, number> {
  return new Map(Array.from({ length: reply.length / 2 }, (_, index) => [reply[index * 2] ?? "", Number(reply[index * 2 + 1])]));
}
