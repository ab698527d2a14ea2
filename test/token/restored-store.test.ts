import { describe, expect, it } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { makeBench, makeReplica, type ReplicaOptions, tryAcquire } from "../support/token-bench.ts";

/** Signs in, takes a backup, refreshes `rotations` times, and goes on with the backup as another incarnation of the store. */
async function restored(rotations: number, model: Partial<ModelOptions> = {}, replica: Partial<ReplicaOptions> = {}) {
  const bench = makeBench({ accessTokenSeconds: 300, introspection: "works", ...model }, { incarnation: () => "first", ...replica });
  const { record, login } = await bench.signIn();
  await bench.clock.advance(1_000);
  const backup: LoginSession | undefined = await bench.store.loginSessions.get(record.id);
  if (backup === undefined) throw new Error("There is nothing to back up.");
  for (let rotation = 0; rotation < rotations; rotation += 1) {
    await bench.clock.advance(250_000);
    await tryAcquire(bench.one, login);
  }
  await bench.clock.advance(310_000);
  const before = bench.server.presentations.length;
  const store = new MemoryStore(() => bench.clock.now());
  await store.loginSessions.insert(backup);
  const again = makeReplica({ clock: bench.clock, server: bench.server, store, ...replica, incarnation: () => "second", owner: "again" });
  return { ...bench, again, store, backup, login: await again.watch(backup), since: () => bench.server.presentations.slice(before) };
}

describe("a store that was put back from a backup of two rotations ago (F48)", () => {
  it("presents no refresh token that may be spent where introspection is trusted: the lost login needs a sign-in", async () => {
    const { clock, again, server, login, since } = await restored(2);
    again.heartbeat.start();
    await clock.advance(2_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "lost_reply" } });
    expect(since()).toEqual([]);
    expect(server.reuseEvents).toBe(0);
    await again.heartbeat.stop();
  });

  it("goes on with a login that was not refreshed since the backup", async () => {
    const { clock, again, server, login, since } = await restored(0);
    again.heartbeat.start();
    await clock.advance(2_000);
    expect(login.current()).toMatchObject({ state: "live", generation: 2, incarnation: "second" });
    expect(since()).toHaveLength(1);
    await clock.advance(250_000);
    // From here on it is as always: no more doubt.
    expect(login.current()).toMatchObject({ state: "live", generation: 3 });
    expect(server.introspections).toBe(2);
    expect(server.reuseEvents).toBe(0);
    await again.heartbeat.stop();
  });

  it("looks before a caller's demand, too", async () => {
    const { again, login, since } = await restored(2);
    expect(await tryAcquire(again, login)).toMatchObject({ code: "login_required" });
    expect(since()).toEqual([]);
  });

  it("without introspection presents each once at most, and none with `retire`", async () => {
    const present = await restored(2, { introspection: "none" });
    expect(await tryAcquire(present.again, present.login)).toMatchObject({ code: "login_required" });
    expect(present.since()).toHaveLength(1);
    const saved = await restored(0, { introspection: "none" });
    expect(await tryAcquire(saved.again, saved.login)).toMatchObject({ accessToken: expect.any(String) });
    const retire = await restored(2, { introspection: "none" }, { authorizationServer: { lostReply: "retire" } });
    expect(await tryAcquire(retire.again, retire.login)).toMatchObject({ code: "login_required" });
    expect(retire.since()).toEqual([]);
  });

  it("does not take a grace period for granted that is long over", async () => {
    const { again, server, login, since } = await restored(2, { graceMs: 30_000 }, { authorizationServer: { reuseLeewaySeconds: 30 } });
    expect(await tryAcquire(again, login)).toMatchObject({ code: "login_required" });
    expect(since()).toEqual([]);
    expect(server.reuseEvents).toBe(0);
  });

  it("a record of a time before incarnations were known is taken as it is", async () => {
    const { clock, server, signIn, another } = makeBench({ accessTokenSeconds: 300 });
    const { record } = await signIn();
    const later = another("later", { incarnation: () => "first" });
    const login = await later.watch(record);
    await clock.advance(250_000);
    await tryAcquire(later, login);
    expect(login.current()).toMatchObject({ state: "live", generation: 2, incarnation: "first" });
    expect(server.presentations).toHaveLength(1);
  });
});
