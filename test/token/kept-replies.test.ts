import { describe, expect, it } from "vitest";
import type { ReplyJournal } from "../../src/session/reply-journal.ts";
import { JournalReplay } from "../../src/token/journal-replay.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { KeptDisk } from "../support/kept-disk.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench, makeReplica, type Replica, tryAcquire } from "../support/token-bench.ts";

/** The refresh is due then, and the access token is still good. */
const dueMs = 21_000;

async function makeWorld(keeps: ReplyJournal["keeps"] = "when_refused") {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const disk = new KeptDisk();
  const state = { away: false, slow: false };
  const loginSessions = hookedStore(store.loginSessions, {
    before: async (operation) => {
      if (state.away) throw storeAway();
      if (state.slow && operation === "commit") await new Promise(() => {});
    },
  });
  const first = makeReplica({ clock, server, store, loginSessions, owner: "first", journal: disk.journal(keeps) });
  const record = await first.logins.start(server.signIn("alice"), { kind: "demo" });
  const login = await first.watch(record);
  const refresh = server.refresh.bind(server);
  /** Refreshes; from the moment of the reply on the store does what the test says. */
  const refreshAnd = async (happens: () => void): Promise<void> => {
    await clock.advance(dueMs);
    server.refresh = async (request) => {
      const outcome = await refresh(request);
      happens();
      return outcome;
    };
    void first.maintenance.maintain(record.id);
    await settle();
  };
  /** The next process on the same disk, whose store is well. */
  const restart = async (): Promise<Replica> => {
    const second = makeReplica({ clock, server, store, owner: "second", journal: disk.journal(keeps) });
    const replay = new JournalReplay(second.core, second.imports);
    await replay.start();
    replay.stop();
    return second;
  };
  return { ...bench, disk, state, first, record, login, refreshAnd, restart };
}

describe("a reply that the store does not take", () => {
  it("is kept, the access token is served meanwhile, and it is forgotten once the store is back (F9, I4)", async () => {
    const { clock, first, login, refreshAnd, state, disk, server, history, record } = await makeWorld();
    await refreshAnd(() => {
      state.away = true;
    });
    expect(disk.kept.size).toBe(1);
    expect(await tryAcquire(first, login)).toMatchObject({ accessToken: record.accessTokens[0]?.accessToken });
    state.away = false;
    await clock.advance(10_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(disk.kept.size).toBe(0);
    expect(server.presentations).toHaveLength(1);
    expect(history.check()).toEqual([]);
  });

  it.each(["away", "slow"] as const)(
    "is found after kill -9 while the store is %s: live, without another presentation (F8, F9, I4)",
    async (how) => {
      const { clock, refreshAnd, state, disk, server, history, record, restart, store } = await makeWorld();
      await refreshAnd(() => {
        state[how] = true;
      });
      expect(disk.kept.size).toBe(how === "away" ? 1 : 0);
      await clock.advance(300);
      expect(disk.kept.size).toBe(1);
      disk.die();
      const second = await restart();
      expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "refreshing", pending: { attemptId: expect.any(String) } });
      expect(disk.kept.size).toBe(0);
      await second.maintenance.maintain(record.id);
      expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", generation: 2 });
      expect(server.presentations).toHaveLength(1);
      expect(second.events.filter(({ event }) => event === "kept_reply_found")).toMatchObject([{ outcome: "keep", login: record.handle }]);
      expect(history.check()).toEqual([]);
    },
  );

  it("changes nothing when it is found a second time, in whatever state the login session is by then", async () => {
    const { refreshAnd, state, disk, server, record, restart, store } = await makeWorld();
    await refreshAnd(() => {
      state.away = true;
    });
    const kept = [...disk.kept.values()];
    for (let time = 0; time < 3; time += 1) {
      disk.left.push(...kept);
      const { maintenance } = await restart();
      await maintenance.maintain(record.id);
      expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "live", generation: 2, debts: [] });
    }
    expect(server.presentations).toHaveLength(1);
    expect(server.revoked).toEqual([]);
  });

  it("is revoked when the login session was ended before it is found (I4, I12)", async () => {
    const { refreshAnd, state, disk, server, record, restart, store } = await makeWorld();
    await refreshAnd(() => {
      state.away = true;
    });
    const left = [...disk.kept.values()];
    const { logout } = await restart();
    await logout.end(record.id, "logout");
    await settle();
    disk.left.push(...left);
    const { debts } = await restart();
    await debts.pay(record.id);
    const ended = await store.loginSessions.get(record.id);
    expect(ended).toMatchObject({ state: "ended", debts: [] });
    const { refresh_token: rotated } = JSON.parse(left[0]?.kind === "reply" ? left[0].body : "{}");
    expect(server.revoked.map(({ token }) => token)).toContain(rotated);
  });

  it("is tried all the same when the disk does not take it either", async () => {
    const { clock, login, refreshAnd, state, disk } = await makeWorld();
    disk.isBroken = true;
    await refreshAnd(() => {
      state.away = true;
    });
    state.away = false;
    await clock.advance(10_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
  });
});

describe("a store whose commits are no durable ones of this machine", () => {
  it("gets no reply before the journal has it", async () => {
    const { refreshAnd, disk, login } = await makeWorld("always");
    const order: string[] = [];
    disk.onKeep = () => order.push(`kept at generation ${login.current().generation}`, `pending: ${login.current().pending !== undefined}`);
    await refreshAnd(() => {});
    expect(order).toEqual(["kept at generation 1", "pending: false"]);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(disk.kept.size).toBe(0);
  });

  it("costs nothing extra where the store's own commit is durable: it is not asked at all", async () => {
    const { clock, refreshAnd, disk, login } = await makeWorld("when_refused");
    let keeps = 0;
    disk.onKeep = () => (keeps += 1);
    await refreshAnd(() => {});
    await clock.advance(1_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(keeps).toBe(0);
  });
});
