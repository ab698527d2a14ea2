import { describe, expect, it } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

/** A login session that is due for a refresh, whose requests are held. */
async function due(concurrencyPerIssuer = 16) {
  const requests = new Hold();
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
  const bench = makeBench(
    { pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) },
    { concurrencyPerIssuer, logger },
  );
  const { record, login } = await bench.signIn();
  await bench.clock.advance(20_000);
  const { gate } = bench.one.core.issuers.mustGet("main");
  const state = { over: false };
  const maintained = bench.one.maintenance.maintain(record.id).then(() => {
    state.over = true;
  });
  return { ...bench, requests, warnings, record, login, gate, state, maintained };
}

describe("the refresh that maintenance begins", () => {
  it("is waited for where it need not queue: it holds a place of the heartbeat", async () => {
    const { server, requests, state, maintained, login } = await due();
    await settle();
    expect(server.presentations).toHaveLength(1);
    expect(state.over).toBe(false);
    requests.open();
    await maintained;
    expect(login.current().generation).toBe(2);
  });

  it("is not waited for in a queue: others of other authorization servers are due behind it", async () => {
    const busy = await due(1);
    await settle();
    const { clock, one, server, requests, signIn } = busy;
    const second = await signIn("bob");
    await clock.advance(20_000);
    await one.maintenance.maintain(second.record.id);
    expect(server.presentations).toHaveLength(1);
    requests.open();
    await settle();
    expect(second.login.current().generation).toBe(2);
  });

  it("that fails in a queue is said in the log, and not thrown at anybody", async () => {
    const { clock, one, requests, signIn, warnings } = await due(1);
    await settle();
    const second = await signIn("bob");
    await clock.advance(20_000);
    await one.maintenance.maintain(second.record.id);
    one.core.issuers.shutDown();
    await settle();
    expect(warnings).toHaveLength(1);
    requests.open();
    await settle();
  });
});

describe("the end of the process (F30)", () => {
  it("comes once nothing is under way, with nothing left that waits", async () => {
    const { clock, one, requests, login, maintained } = await due();
    await settle();
    const drained = { over: false };
    const draining = one.maintenance.drain(60_000).then(() => {
      drained.over = true;
    });
    await settle();
    expect(drained.over).toBe(false);
    requests.open();
    await draining;
    await maintained;
    expect(login.current().generation).toBe(2);
    expect(clock.pending).toBe(0);
    await expect(one.core.issuers.mustGet("main").gate.enter("user", 0).entered).rejects.toMatchObject({ retryable: true });
  });

  it("waits for a revocation that is under way", async () => {
    const revocations = new Hold();
    const { one, server, signIn } = makeBench({ pauseOther: () => revocations.wait() });
    revocations.on = false;
    const { record } = await signIn();
    revocations.on = true;
    await one.logout.end(record.id, "logout");
    await settle();
    const drained = { over: false };
    const draining = one.maintenance.drain(60_000).then(() => {
      drained.over = true;
    });
    await settle();
    expect(drained.over).toBe(false);
    revocations.open();
    await draining;
    expect(server.revoked).toHaveLength(2);
  });

  it("comes when the time is over, whatever is still under way", async () => {
    const { clock, one, requests, maintained } = await due();
    await settle();
    const drained = { over: false };
    void one.maintenance.drain(1_000).then(() => {
      drained.over = true;
    });
    await clock.advance(999);
    expect(drained.over).toBe(false);
    await clock.advance(1);
    expect(drained.over).toBe(true);
    requests.open();
    await maintained;
  });
});
