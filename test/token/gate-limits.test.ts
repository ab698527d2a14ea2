import { describe, expect, it } from "vitest";
import { type GateTicket, IssuerGate, type IssuerGateOptions } from "../../src/token/issuer-gate.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const sick = { kind: "sick", failure: "server_error" } as const;

function makeGate(options: Partial<IssuerGateOptions> = {}) {
  const clock = new ManualClock();
  const gate = new IssuerGate(clock, { concurrency: 4, random: () => 0.5, ...options });
  const inside: GateTicket[] = [];
  const order: string[] = [];
  /** Enters, and stays inside until `inside` is told to leave. */
  const enter = (name: string, priority: "user" | "heartbeat" = "heartbeat", expiresAt = 0) => {
    const place = gate.enter(priority, expiresAt);
    place.entered.then(
      (ticket) => {
        inside.push(ticket);
        order.push(name);
      },
      () => order.push(`${name} refused`),
    );
    return place;
  };
  const leaveAll = (verdict: Parameters<GateTicket["leave"]>[0]): void => {
    for (const ticket of inside.splice(0)) ticket.leave(verdict);
  };
  return { clock, gate, enter, inside, order, leaveAll };
}

describe("the rate budget at the gate (I13)", () => {
  it("holds the heartbeat back while a user goes ahead of it, and lets it in when that is paid back", async () => {
    const { clock, enter, order } = makeGate({ concurrency: 100, perSecond: 4 });
    for (const each of [1, 2, 3]) enter(`beat ${each}`);
    await settle();
    expect(order).toEqual(["beat 1", "beat 2"]);
    enter("user", "user");
    await settle();
    expect(order).toEqual(["beat 1", "beat 2", "user"]);
    await clock.advance(499);
    expect(order).toHaveLength(3);
    await clock.advance(1);
    expect(order).toEqual(["beat 1", "beat 2", "user", "beat 3"]);
  });

  it("lets one in at once that a user comes to wait for", async () => {
    const { enter, order } = makeGate({ concurrency: 100, perSecond: 2 });
    enter("beat 1");
    enter("beat 2", "heartbeat", 1);
    const place = enter("beat 3", "heartbeat", 2);
    await settle();
    expect(order).toEqual(["beat 1"]);
    place.promote();
    await settle();
    expect(order).toEqual(["beat 1", "beat 3"]);
  });

  it("is divided by the live replicas, as the concurrency is, and each has one at least", async () => {
    let replicas = 2;
    const { clock, enter, order, leaveAll } = makeGate({ concurrency: 4, perSecond: 8, liveReplicas: () => replicas });
    for (let each = 0; each < 20; each += 1) enter("beat");
    await settle();
    expect(order).toHaveLength(2);
    replicas = 100;
    leaveAll({ kind: "healthy" });
    await clock.advance(12_499);
    expect(order).toHaveLength(2);
    await clock.advance(1);
    expect(order).toHaveLength(3);
    replicas = 1;
    await clock.advance(1_000);
    enter("one more");
    await settle();
    expect(order).toHaveLength(6);
  });
});

describe("a gate that is closed", () => {
  it("is asked by one probe after five minutes, although Retry-After names an hour, and opens when that succeeds", async () => {
    const { clock, enter, order, leaveAll } = makeGate();
    enter("first");
    await settle();
    leaveAll({ ...sick, retryAfterSeconds: 3_600 });
    for (let each = 0; each < 10; each += 1) enter("beat");
    await clock.advance(299_999);
    expect(order).toHaveLength(1);
    await clock.advance(1);
    expect(order).toHaveLength(2);
    leaveAll({ kind: "healthy" });
    await settle();
    expect(order).toHaveLength(6);
  });

  it("probes a client that is refused as such at least every five minutes, however long Retry-After is", async () => {
    const { clock, enter, order, inside, leaveAll } = makeGate({ random: () => 0.999 });
    for (let each = 0; each < 20; each += 1) enter("beat");
    await settle();
    leaveAll({ kind: "client_broken", retryAfterSeconds: 3_600 });
    for (let probe = 1; probe <= 6; probe += 1) {
      await clock.advance(300_000);
      expect(inside).toHaveLength(1);
      leaveAll({ kind: "client_broken", retryAfterSeconds: 3_600 });
      expect(order).toHaveLength(4 + probe);
    }
  });

  it("tells background work that one place in front of it is enough, and users are not counted out", async () => {
    const { clock, gate, enter, order, leaveAll } = makeGate();
    for (let each = 0; each < 4; each += 1) enter("first");
    await settle();
    expect(gate.isBusy).toBe(true);
    expect(gate.isCrowdedFor(0)).toBe(false);
    leaveAll(sick);
    enter("fifth");
    await settle();
    leaveAll(sick);
    expect(gate.isCrowdedFor(0)).toBe(false);
    enter("probe");
    expect(gate.isCrowdedFor(0)).toBe(true);
    enter("user", "user");
    await clock.advance(5_000);
    expect(order.at(-1)).toBe("user");
  });
});

describe("a gate that is open", () => {
  it("is crowded once as many wait as it lets in within the lease of the heartbeat: then it is never idle meanwhile", () => {
    const { gate, enter } = makeGate({ perSecond: 20 });
    for (let each = 0; each < 4 + 99; each += 1) enter("beat");
    expect(gate.isCrowdedFor(0)).toBe(false);
    enter("beat");
    expect(gate.isCrowdedFor(0)).toBe(true);
  });

  it("has one timer, however many wait for it", () => {
    const { clock, enter } = makeGate({ perSecond: 1 });
    for (let each = 0; each < 5_000; each += 1) enter("beat");
    expect(clock.pending).toBe(1);
  });
});
