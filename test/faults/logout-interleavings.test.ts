import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { History } from "../support/history.ts";
import { hookedStore } from "../support/hooked-store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ModelAuthorizationServer } from "../support/model-authorization-server.ts";
import { makeReplica, tryAcquire } from "../support/token-bench.ts";

/** A refresh and a logout of one login session, in processes that may be the same. */
interface Race {
  readonly refreshes: "here" | "elsewhere";
  /** How often the logout lets others go first: else it would hardly ever come after all of a refresh. */
  readonly letsGoFirst: number;
  /** Every call of the store and of the authorization server waits until the scheduler lets it go on. */
  readonly scheduler: fc.Scheduler;
}

/** Callers and the heartbeat refresh in one process while the login session is ended in `here`; then all comes to rest. */
async function race({
  refreshes,
  letsGoFirst,
  scheduler,
}: Race): Promise<{ history: History; server: ModelAuthorizationServer; outcomes: Set<string> }> {
  let free = true;
  const pause = (): Promise<void> => (free ? Promise.resolve() : scheduler.schedule(Promise.resolve()));
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({ now: () => clock.now(), pause, pauseOther: pause });
  const history = new History(store.loginSessions, server);
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => (operation === "get" || operation === "commit" ? pause() : undefined),
    after: (operation) => (operation === "commit" ? pause() : undefined),
  });
  const here = makeReplica({ clock, server, store, loginSessions, owner: "here" });
  const elsewhere = makeReplica({ clock, server, store, loginSessions, owner: "elsewhere" });
  const record = await here.logins.start(server.signIn("alice"), { kind: "demo" });
  const refresher = { here, elsewhere }[refreshes];
  const login = await refresher.watch(record);
  const watching = await here.watch(record);
  await clock.advance(22_000);

  free = false;
  const outcomes = new Set<string>();
  const serve = async (): Promise<void> => {
    const got = await tryAcquire(refresher, login, { minimumValiditySeconds: 20 });
    outcomes.add(got instanceof Error ? got.code : "served");
    if (!(got instanceof Error)) history.serve(record.id, got.accessToken, clock.now(), refreshes);
  };
  const end = async (): Promise<void> => {
    for (let turn = 0; turn <= letsGoFirst; turn += 1) await pause();
    await here.logout.end(record.id, "logout");
    history.logoutAnswered(record.id, { owner: "here", at: clock.now() });
    outcomes.add((await tryAcquire(here, watching)) instanceof Error ? "refused after the answer" : "served after the answer");
  };
  let left = 4;
  for (const act of [serve(), serve(), refresher.maintenance.maintain(record.id), end()])
    void act.finally(() => {
      left -= 1;
    });
  for (let step = 0; left > 0 && step < 2_000; step += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (scheduler.count() > 0) await scheduler.waitNext(1);
  }
  expect(left).toBe(0);
  free = true;
  if (scheduler.count() > 0) await scheduler.waitIdle();
  here.heartbeat.start();
  await clock.advance(60_000);
  await here.heartbeat.stop();
  expect(await store.loginSessions.get(record.id)).toMatchObject({ state: "ended", accessTokens: [], debts: [], revocation: "done" });
  return { history, server, outcomes };
}

test("F20 a logout at every interleaving with a refresh, in one process or two: final, no late token served, all revoked (I11, I12)", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("here" as const, "elsewhere" as const),
      fc.nat(12),
      fc.scheduler(),
      async (refreshes, letsGoFirst, scheduler) => {
        const { history, server, outcomes } = await race({ refreshes, letsGoFirst, scheduler });
        expect(history.check({ healthy: true })).toEqual([]);
        expect(history.checkSettled()).toEqual([]);
        expect(server.reuseEvents).toBe(0);
        expect(server.presentations.length).toBeLessThanOrEqual(1);
        for (const outcome of outcomes) seen.add(outcome);
      },
    ),
    { numRuns: 150 },
  );
  // Logouts that came too late for a caller, and some that came before, were among them.
  expect([...seen].sort()).toEqual(["login_ended", "refused after the answer", "served"]);
});
