import type { Audit } from "../../audit/audit.ts";
import type { Logger } from "../../logger.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { LoginSessionChange } from "../../session/store.ts";
import type { StoreClock } from "../store-clock.ts";
import { allVersions, changesSince } from "./redis-change-scripts.ts";
import type { RedisDatabase } from "./redis-database.ts";
import type { KnownIds } from "./redis-known-ids.ts";
import { textsOf } from "./redis-values.ts";

/** So many entries of the change log are read with one call, and so many login sessions are looked through after a gap. */
const entriesPerCall = 1_000;

export interface RedisChangesParts {
  readonly db: RedisDatabase;
  readonly known: KnownIds;
  readonly clock: StoreClock;
  /** Stands beside each change that this store makes. */
  readonly writer: string;
  readonly logger: Logger;
  readonly audit: Audit;
}

interface Look {
  readonly born: string;
  readonly incarnation: string;
  readonly newest: number;
  /** Of `from`, the first that the log still has; undefined: it has none after the cursor. */
  readonly entries: readonly (LoginSessionChange & { readonly number: number; readonly writer: string })[];
}

/** The cursor of what other processes change in Redis; each look also reads the server's clock and the store's incarnation. */
export class RedisChanges {
  readonly #parts: RedisChangesParts;
  #seen: number;
  #born: string;
  #incarnation: string;

  private constructor(parts: RedisChangesParts, { newest, born, incarnation }: Look) {
    this.#parts = parts;
    this.#seen = newest;
    this.#born = born;
    this.#incarnation = incarnation;
  }

  static async open(parts: RedisChangesParts): Promise<RedisChanges> {
    // Some readings of the clock: the quickest is the most exact.
    for (let reading = 1; reading < 4; reading += 1) await look(parts, Number.MAX_SAFE_INTEGER);
    return new RedisChanges(parts, await look(parts, Number.MAX_SAFE_INTEGER));
  }

  get writer(): string {
    return this.#parts.writer;
  }

  /** As it was at the last look. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** What others have changed since it was last asked for, in its order. */
  async news(): Promise<readonly LoginSessionChange[]> {
    const news: LoginSessionChange[] = [];
    for (;;) {
      const found = await look(this.#parts, this.#seen);
      this.#incarnation = found.incarnation;
      if (this.#wentBack(found)) {
        this.#born = found.born;
        this.#seen = found.newest;
        return this.#everything();
      }
      const [first] = found.entries;
      const next = first?.number ?? found.newest + 1;
      if (next > this.#seen + 1) {
        // The log was cut off before all of it was read here: nobody can say what changed.
        this.#seen = found.newest;
        return this.#everything();
      }
      for (const { id, version, number, writer } of found.entries) {
        if (writer !== this.#parts.writer) news.push({ id, version });
        this.#seen = number;
      }
      if (found.entries.length < entriesPerCall) return news;
    }
  }

  #wentBack({ born, newest }: Look): boolean {
    const lost = born !== this.#born;
    if (!lost && newest >= this.#seen) return false;
    const { logger, audit } = this.#parts;
    logger.error(
      lost
        ? "Redis has lost all of Latchkey's data: everybody has to sign in again. Look at its persistence (appendonly, appendfsync) and its log."
        : "Redis shows an older state of Latchkey's data than it has shown before: refresh tokens in it may be spent. Look at its log.",
      { seen: this.#seen, found: newest },
    );
    audit.record({ event: "store_went_back", lost: lost ? "all" : "some" });
    return true;
  }

  /** All that is there, and what was there once. */
  async #everything(): Promise<readonly LoginSessionChange[]> {
    const { db, known } = this.#parts;
    const versions = new Map<LoginSessionId, number>();
    let cursor = "0";
    do {
      const [next = "0", ...pairs] = textsOf(await db.run(allVersions, ["login-sessions"], [cursor, entriesPerCall]));
      for (let at = 0; at + 1 < pairs.length; at += 2) versions.set(pairs[at] as LoginSessionId, Number(pairs[at + 1]));
      cursor = next;
    } while (cursor !== "0");
    const gone = known.list().filter((id) => !versions.has(id));
    for (const id of gone) known.forget(id);
    return [...gone.map((id) => ({ id, version: 0 })), ...[...versions].map(([id, version]) => ({ id, version }))];
  }
}

async function look({ db, clock }: RedisChangesParts, since: number): Promise<Look> {
  const askedAt = clock.monotonic();
  const [seconds = "", micros = "", runId = "", born = "", incarnation = "", newest = "", ...entries] = textsOf(
    await db.run(changesSince, ["meta", "counters", "changes"], [since, entriesPerCall]),
  );
  clock.observe(Number(seconds) * 1_000 + Number(micros) / 1_000, askedAt);
  return {
    born,
    // Another server, or the same one started anew, may not have what was written last.
    incarnation: `${incarnation}.${runId}`,
    newest: Number(newest),
    entries: Array.from({ length: Math.floor(entries.length / 4) }, (_, index) => {
      const [number, writer = "", id, version] = entries.slice(index * 4, index * 4 + 4);
      return { number: Number(number), writer, id: id as LoginSessionId, version: Number(version) };
    }),
  };
}
