import { expect, test } from "vitest";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { ModelAuthorizationServer } from "../support/model-authorization-server.ts";
import { makeReplica } from "../support/token-bench.ts";

const cycles = 100_000;
const atOnce = 500;

test(`F40 ${cycles} logins, uses, refreshes and logouts, in two processes: every map is back at its baseline (I16)`, async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({ now: () => clock.now() });
  const options = { clock, server, store, policy: { tombstoneSeconds: 60 }, heartbeat: { intervalMs: 10_000, concurrency: 512 } };
  const [one, two] = [makeReplica(options), makeReplica({ ...options, owner: "replica-2" })];
  const baseline = store.sizes();
  one.heartbeat.start();
  for (let done = 0; done < cycles; done += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, async (_, index) => {
        const sid = index % 3 === 0 ? `sid-${done + index}` : undefined;
        const record = await one.logins.start(server.signIn(`user-${index % 50}`, "main", sid), { kind: "demo" });
        const key = { id: record.id, hash: hashConnectionKey(newConnectionKey()), loginSessionId: record.id, name: "k", createdAt: 0 };
        await store.connectionKeys.insert(key, 1);
        const [here, there] = [await one.watch(record), await two.watch(record)];
        if (index % 4 === 0) await two.tokens.acquire(there, { scopes: [] }, { rejected: record.accessTokens[0]?.accessToken ?? "none" });
        if (index % 4 === 1) await one.tokens.acquire(here, { resource: "https://other.example", scopes: [] });
        if (index % 2 === 0) here.release();
        await (index % 5 === 0 ? two : one).logout.end(record.id, "logout");
        if (index % 2 === 1) here.release();
        there.release();
      }),
    );
    await clock.advance(1100_000);
  }
  await one.heartbeat.stop();
  expect(store.sizes()).toEqual(baseline);
  expect(server.presentations.length).toBeGreaterThanOrEqual(cycles / 4);
  expect(server.reuseEvents).toBe(0);
  for (const { core, flights, debts, imports } of [one, two]) {
    expect(core.sessions.watchedCount).toBe(0);
    expect(core.sessions.unwrittenUses).toBe(0);
    expect([flights.size, debts.size, core.locks.size, imports.size]).toEqual([0, 0, 0, 0]);
  }
  expect(clock.pending).toBe(0);
});
