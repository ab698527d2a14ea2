import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JournalReplay } from "../../src/token/journal-replay.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { KeptDisk } from "../support/kept-disk.ts";
import { settle } from "../support/manual-clock.ts";
import { Mortal } from "../support/mortal.ts";
import { makeBench, makeReplica, type Replica } from "../support/token-bench.ts";

/** Processes one after another on one disk, one store and one authorization server. */
function makeWorld(life = new Mortal()) {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const disk = new KeptDisk();
  const state = { away: false };
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      if (state.away && operation === "insert") throw storeAway();
    },
  });
  const first = makeReplica({
    clock: life.clock(clock),
    server: life.wrap(server),
    store,
    loginSessions: life.wrap(loginSessions),
    importIntents: life.wrap(store.importIntents),
    journal: life.wrap(disk.journal()),
    owner: "first",
  });
  const handed = { idToken: "id-alice-1", refreshToken: String(server.signIn("alice").tokens.refreshToken) };
  const kill = (): void => {
    life.die();
    disk.die();
  };
  const next = (owner: string, with_ = new Mortal()): Replica & { readonly replay: JournalReplay } => {
    const replica = makeReplica({
      clock,
      server: with_.wrap(server),
      store,
      loginSessions: with_.wrap(loginSessions),
      importIntents: with_.wrap(store.importIntents),
      journal: with_.wrap(disk.journal()),
      owner,
    });
    return { ...replica, replay: new JournalReplay(replica.core, replica.imports) };
  };
  return { ...bench, disk, state, first, handed, kill, next };
}

/** What a backend learns: the handle of the login session, also from a conflict; or what went wrong. */
function outcomeOf(replica: Replica, handed: Parameters<Replica["imports"]["importLogin"]>[0]) {
  return replica.imports.importLogin(handed).then(
    ({ loginSession }) => ({ handle: String(loginSession.handle), code: undefined }),
    ({ code, details }) => ({ handle: details?.login === undefined ? undefined : String(details.login), code: String(code) }),
  );
}

describe("the reply of an import", () => {
  it("is kept before anything looks at it, and forgotten once there is a login session (I4)", async () => {
    const { first, handed, disk, server } = makeWorld();
    const order: string[] = [];
    disk.onKeep = () => order.push(`kept after ${server.presentations.length} presentation and ${server.verifications} verifications`);
    await first.imports.importLogin(handed);
    expect(order).toEqual(["kept after 1 presentation and 0 verifications"]);
    expect(disk.kept.size).toBe(0);
  });

  it.each(["it cannot be verified", "the store is away"])(
    "is found after kill -9 while %s: a login session, without another presentation, which the retry is told of (F8, F47, I4)",
    async (why) => {
      const { first, handed, disk, server, state, kill, next, clock, store } = makeWorld();
      if (why === "the store is away") state.away = true;
      else server.verificationAnswer = { kind: "unavailable", problem: "keys" };
      void first.imports.importLogin(handed);
      await clock.advance(2_000);
      expect(disk.kept.size).toBe(1);
      kill();
      state.away = false;
      server.verificationAnswer = undefined;
      const second = next("second");
      await second.replay.start();
      second.replay.stop();
      const retried = await outcomeOf(second, handed);
      const [record] = await store.loginSessions.listByUser(server.issuer, "alice");
      expect(record).toMatchObject({ state: "live", origin: { kind: "import" } });
      expect(retried).toEqual({ handle: record?.handle, code: "conflict" });
      expect(server.isActive(record?.refreshToken)).toBe(true);
      expect(server.presentations).toHaveLength(1);
      expect(disk.kept.size).toBe(0);
      expect(store.sizes()).toMatchObject({ records: 1, importIntents: 0 });
      expect(second.events).toContainEqual({
        event: "kept_reply_found",
        login: record?.handle,
        generation: 0,
        outcome: "imported",
      });
    },
  );

  it("that cannot be finished yet after the restart: a retry waits, here and in another process, and is told to try again", async () => {
    const { first, handed, disk, server, kill, next, clock } = makeWorld();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    void first.imports.importLogin(handed);
    await clock.advance(2_000);
    kill();
    // Long after the time of the first one's intent.
    await clock.advance(600_000);
    const [second, third] = [next("second"), next("third")];
    void second.replay.start();
    await settle();
    const retries = Promise.all([outcomeOf(second, handed), outcomeOf(third, handed)]);
    await clock.advance(120_000);
    expect(await retries).toEqual([
      { handle: undefined, code: "authorization_server_unavailable" },
      { handle: undefined, code: "authorization_server_unavailable" },
    ]);
    await clock.advance(3_600_000);
    expect(disk.kept.size).toBe(1);
    const late = outcomeOf(second, handed);
    server.verificationAnswer = undefined;
    await clock.advance(30_000);
    expect((await late).handle).toBeDefined();
    expect(server.presentations).toHaveLength(1);
    second.replay.stop();
  });

  it("that is being verified after the restart, long after the time of the first process's claim: nobody presents meanwhile (I1)", async () => {
    const { first, handed, server, kill, next, clock } = makeWorld();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    void first.imports.importLogin(handed);
    await clock.advance(2_000);
    kill();
    await clock.advance(600_000);
    server.verify = () => new Promise(() => {});
    const [second, third] = [next("second"), next("third")];
    void second.replay.start();
    await settle();
    const retry = outcomeOf(third, handed);
    await clock.advance(35_000);
    expect(await retry).toEqual({ handle: undefined, code: "authorization_server_unavailable" });
    expect(server.presentations).toHaveLength(1);
    second.replay.stop();
  });

  it("of another user is refused after the restart as well: nothing is made, and what it brought is revoked (I7)", async () => {
    const { first, handed, disk, server, kill, next, clock, store } = makeWorld();
    const bob = String(server.signIn("bob").tokens.refreshToken);
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    void first.imports.importLogin({ ...handed, refreshToken: bob });
    await clock.advance(2_000);
    kill();
    server.verificationAnswer = undefined;
    const { replay } = next("second");
    await replay.start();
    replay.stop();
    expect(store.sizes().records).toBe(0);
    expect(server.isFamilyAlive(bob)).toBe(false);
    expect(disk.kept.size).toBe(0);
  });

  it("stays kept when the process ends before it is finished", async () => {
    const { first, handed, disk, server, clock } = makeWorld();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    const result = outcomeOf(first, handed);
    await clock.advance(2_000);
    first.imports.stop();
    expect(await result).toEqual({ handle: undefined, code: "authorization_server_unavailable" });
    expect(disk.kept.size).toBe(1);
    expect(server.revoked).toEqual([]);
  });

  it("is revoked when it could not be finished for a day", async () => {
    const { first, handed, disk, server, clock } = makeWorld();
    server.verificationAnswer = { kind: "unavailable", problem: "keys" };
    void outcomeOf(first, handed);
    await clock.advance(23 * 3_600_000);
    expect(server.isFamilyAlive(handed.refreshToken)).toBe(true);
    await clock.advance(2 * 3_600_000);
    expect(server.isFamilyAlive(handed.refreshToken)).toBe(false);
    expect(disk.kept.size).toBe(0);
  });

  it("goes on in memory when the disk does not take it", async () => {
    const { first, handed, disk } = makeWorld();
    disk.isBroken = true;
    expect((await outcomeOf(first, handed)).handle).toBeDefined();
  });
});

describe("an import that is killed at any of its steps", () => {
  it("is one login session and one presentation, however the restart and two retries go on beside each other (I1, I4)", async () => {
    let keptAtDeath = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.scheduler(), async (diesAt, scheduler) => {
        const life = new Mortal({ diesAt });
        const { first, handed, disk, server, kill, next, clock, store } = makeWorld(life);
        void first.imports.importLogin(handed);
        await settle();
        const presentedBefore = server.presentations.length;
        // The reply had come to the server's side of the wire alone: nobody can save that.
        const isLost = life.isDead && presentedBefore === 1 && disk.kept.size === 0 && store.sizes().records === 0;
        if (life.isDead && disk.kept.size === 1) keptAtDeath += 1;
        kill();
        const onStep = (label: string): Promise<void> => scheduler.schedule(Promise.resolve(), label);
        const [second, third] = [next("second", new Mortal({ onStep })), next("third", new Mortal({ onStep }))];
        void second.replay.start();
        let results: readonly Awaited<ReturnType<typeof outcomeOf>>[] = [];
        void Promise.all([outcomeOf(second, handed), outcomeOf(third, handed)]).then((all) => {
          results = all;
        });
        for (let turn = 0; results.length === 0 && turn < 400; turn += 1) {
          await scheduler.waitIdle();
          await clock.advance(250);
        }
        second.replay.stop();
        await scheduler.waitIdle();
        expect(results).toHaveLength(2);
        if (isLost) return;
        const [record] = await store.loginSessions.listByUser(server.issuer, "alice");
        expect(new Set(results.map(({ handle }) => handle))).toEqual(new Set([record?.handle]));
        expect(server.isActive(record?.refreshToken)).toBe(true);
        expect(server.presentations).toHaveLength(1);
        expect(server.reuseEvents).toBe(0);
        expect(store.sizes()).toMatchObject({ records: 1 });
        expect(disk.kept.size).toBe(0);
      }),
      { numRuns: 100 },
    );
    expect(keptAtDeath).toBeGreaterThan(0);
  });
});
