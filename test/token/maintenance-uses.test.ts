import { describe, expect, it } from "vitest";
import type { Logger } from "../../src/logger.ts";
import { silentLogger } from "../../src/logger.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, makeReplica } from "../support/token-bench.ts";

const halfMs = 1_800_000;

/** A login session with an idle limit of an hour and access tokens of a day, which replica two changes and replica one hears of. */
async function heard() {
  const bench = makeBench({ accessTokenSeconds: 86_400 }, { policy: { idleLimitSeconds: 3_600 } });
  const { clock, server, store } = bench;
  const fault = { on: false };
  const reads = { made: 0 };
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      if (operation === "get") reads.made += 1;
      if (operation === "commit" && fault.on) throw storeAway();
    },
  });
  const one = makeReplica({ clock, server, store, loginSessions, logger, policy: { idleLimitSeconds: 3_600 } });
  const record = await bench.another("replica-2").logins.start(server.signIn("alice"), { kind: "demo" });
  const stored = async (): Promise<LoginSession> => {
    const found = await store.loginSessions.get(record.id);
    if (found === undefined) throw new Error("the record is gone");
    return found;
  };
  /** Another process writes the record. */
  const change = async (with_: Partial<LoginSession> = {}): Promise<LoginSession> => {
    const current = await stored();
    const next = { ...current, version: current.version + 1, ...with_ };
    expect(await store.loginSessions.commit(next)).toMatchObject({ committed: true });
    await settle();
    return next;
  };
  return { ...bench, one, record, stored, change, fault, reads, warnings };
}

describe("the use of a login session that another process refreshes (R14)", () => {
  it("is written at its next change once half of the idle limit has passed: a connection is there", async () => {
    const { clock, one, record, stored, change, reads } = await heard();
    const watched = await one.core.sessions.watch(record.id);
    await clock.advance(halfMs);
    const before = reads.made;
    const early = await change();
    expect(await stored()).toEqual(early);
    // The look at what has changed, and no other.
    expect(reads.made).toBe(before + 1);
    await clock.advance(1);
    const late = await change();
    expect(await stored()).toEqual({ ...late, version: late.version + 1, lastUsedAt: clock.now() });
    watched?.release();
  });

  it("is written as the moment of the last call when the connection has gone", async () => {
    const { clock, one, record, stored, change } = await heard();
    const watched = await one.core.sessions.watch(record.id);
    await clock.advance(halfMs + 1);
    const usedAt = clock.now();
    watched?.touch(usedAt);
    watched?.release();
    await clock.advance(60_000);
    await change();
    expect((await stored()).lastUsedAt).toBe(usedAt);
  });

  it("is not written when nobody used it, nor of one that serves nothing any more", async () => {
    const { clock, one, record, stored, change, reads } = await heard();
    await clock.advance(2 * halfMs);
    const unused = await change();
    expect(await stored()).toEqual(unused);
    const watched = await one.core.sessions.watch(record.id);
    const then = reads.made;
    const over = await change({
      state: "login_required",
      reason: { code: "grant_dead", at: clock.now() },
      refreshToken: undefined,
      accessTokens: [],
    });
    expect(await stored()).toEqual(over);
    // The look at what has changed, and no other.
    expect(reads.made).toBe(then + 1);
    watched?.release();
  });

  it("is not written over an end or a use that came first", async () => {
    for (const first of [
      (at: number): Partial<LoginSession> => ({ lastUsedAt: at }),
      (at: number): Partial<LoginSession> => ({
        state: "login_required",
        reason: { code: "grant_dead", at },
        refreshToken: undefined,
        accessTokens: [],
      }),
    ]) {
      const { clock, one, record, stored, change } = await heard();
      const watched = await one.core.sessions.watch(record.id);
      await clock.advance(halfMs + 1);
      const hold = new Hold();
      const lock = one.core.locks.run(record.id, () => hold.wait());
      await change();
      const then = await change(first(clock.now()));
      hold.open();
      await lock;
      await settle();
      expect(await stored()).toEqual(then);
      watched?.release();
    }
  });

  it("that cannot be written is said in the log, and written at the change after", async () => {
    const { clock, one, record, stored, change, fault, warnings } = await heard();
    const watched = await one.core.sessions.watch(record.id);
    await clock.advance(halfMs + 1);
    fault.on = true;
    const missed = await change();
    expect(await stored()).toEqual(missed);
    expect(warnings).toHaveLength(1);
    fault.on = false;
    await change();
    expect((await stored()).lastUsedAt).toBe(clock.now());
    watched?.release();
  });
});
