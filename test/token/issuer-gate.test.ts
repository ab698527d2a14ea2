import { describe, expect, it } from "vitest";
import { type GatePriority, type GateTicket, IssuerGate } from "../../src/token/issuer-gate.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

function make(concurrency = 2, liveReplicas = 1) {
  const clock = new ManualClock();
  const pauses: boolean[] = [];
  // The longest of every backoff.
  const gate = new IssuerGate(clock, {
    concurrency,
    random: () => 1,
    onPause: (paused) => void pauses.push(paused),
    liveReplicas: () => liveReplicas,
  });
  const entered: string[] = [];
  const tickets = new Map<string, GateTicket>();
  const queue = (name: string, priority: GatePriority = "heartbeat", expiresAt = 0) => {
    const place = gate.enter(priority, expiresAt);
    place.entered.then(
      (ticket) => {
        entered.push(name);
        tickets.set(name, ticket);
      },
      (error: { code: string }) => void entered.push(`${name} ${error.code}`),
    );
    return place;
  };
  const enter = async (name: string): Promise<GateTicket> => {
    queue(name);
    await settle();
    const ticket = tickets.get(name);
    if (ticket === undefined) throw new Error(`${name} is not inside`);
    return ticket;
  };
  /** `times` requests fail, one after the other. */
  const fail = async (times: number, retryAfterSeconds?: number): Promise<void> => {
    for (let each = 0; each < times; each += 1) (await enter(`failure ${each}`)).leave({ kind: "sick", retryAfterSeconds });
    entered.length = 0;
  };
  return { clock, gate, pauses, entered, queue, enter, fail, ticket: (name: string) => tickets.get(name) };
}

describe("the gate of an authorization server (I13)", () => {
  it("lets in so many at a time, and the next when one leaves, once", async () => {
    const { entered, queue, ticket, gate } = make(2);
    for (const name of ["a", "b", "c", "d"]) queue(name);
    await settle();
    expect(entered).toEqual(["a", "b"]);
    expect(gate.closedForMs).toBe(0);
    ticket("a")?.leave({ kind: "neutral" });
    ticket("a")?.leave({ kind: "neutral" });
    await settle();
    expect(entered).toEqual(["a", "b", "c"]);
  });

  it("takes users first, then whose access token ends first, then who came first", async () => {
    const { entered, queue, enter, ticket } = make(1);
    (await enter("inside")).leave({ kind: "neutral" });
    await enter("first");
    queue("late", "heartbeat", 900);
    queue("soon", "heartbeat", 100);
    queue("soon too", "heartbeat", 100);
    queue("user", "user", 800);
    queue("hasty user", "user", 700);
    queue("promoted", "heartbeat", 750).promote();
    for (let each = 0; each < 6; each += 1) {
      ticket(entered.at(-1) ?? "")?.leave({ kind: "neutral" });
      await settle();
    }
    expect(entered).toEqual(["inside", "first", "hasty user", "promoted", "user", "soon", "soon too", "late"]);
  });

  it("closes after five failures in a row, and lets one probe through, ever later, up to five seconds", async () => {
    const { clock, gate, entered, queue, fail, ticket } = make(4);
    await fail(4);
    expect(gate.closedForMs).toBe(0);
    await fail(1);
    for (const closedMs of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      expect(gate.closedForMs).toBe(closedMs);
      entered.length = 0;
      queue("probe");
      queue("other");
      await clock.advance(closedMs - 1);
      expect(entered).toEqual([]);
      await clock.advance(1);
      expect(entered).toHaveLength(1);
      // The other one waits until this one is back, and is the probe after it.
      ticket(entered[0] ?? "")?.leave({ kind: "sick" });
      await settle();
    }
  });

  it("opens with the first success: all that wait go in", async () => {
    const { clock, gate, entered, queue, fail, ticket } = make(2);
    await fail(5);
    for (const name of ["a", "b", "c"]) queue(name);
    await clock.advance(1_000);
    expect(entered).toEqual(["a"]);
    expect(gate.lastHealthyAt).toBeUndefined();
    ticket("a")?.leave({ kind: "healthy" });
    await settle();
    expect(entered).toEqual(["a", "b", "c"]);
    expect(gate.lastHealthyAt).toBe(clock.now());
    expect(gate.closedForMs).toBe(0);
  });

  it.each(["healthy", "answered"] as const)("counts failures anew after an answer that is %s", async (kind) => {
    const { gate, enter, fail } = make();
    await fail(4);
    (await enter("answered")).leave({ kind });
    await fail(4);
    expect(gate.closedForMs).toBe(0);
    (await enter("neutral")).leave({ kind: "neutral" });
    await fail(1);
    expect(gate.closedForMs).toBe(1_000);
  });

  it("rests as long as it was asked to, up to five minutes, and no success of an older request takes that back (F12)", async () => {
    const { clock, gate, enter } = make(3);
    const older = await enter("older");
    (await enter("asked to rest")).leave({ kind: "sick", retryAfterSeconds: 30 });
    older.leave({ kind: "healthy" });
    expect(gate.closedForMs).toBe(30_000);
    await clock.advance(30_000);
    expect(gate.closedForMs).toBe(0);
    (await enter("asked to rest for a day")).leave({ kind: "sick", retryAfterSeconds: 86_400 });
    expect(gate.closedForMs).toBe(300_000);
    await clock.advance(300_000);
    (await enter("asked to rest long")).leave({ kind: "client_broken", retryAfterSeconds: 100 });
    expect(gate.closedForMs).toBe(100_000);
  });

  it("keeps the longer rest of two", async () => {
    const { gate, enter } = make(3);
    const first = await enter("first");
    const second = await enter("second");
    first.leave({ kind: "sick", retryAfterSeconds: 30 });
    second.leave({ kind: "sick", retryAfterSeconds: 10 });
    expect(gate.closedForMs).toBe(30_000);
  });

  it("pauses while the client itself is refused, says so once, and probes at least once a minute (F16)", async () => {
    const { clock, gate, pauses, entered, queue, enter, ticket } = make(4);
    const beside = await enter("beside");
    (await enter("refused")).leave({ kind: "client_broken" });
    expect(gate.paused).toBe(true);
    expect(gate.closedForMs).toBe(2_000);
    // Another login session was told something about itself: the client is still refused.
    beside.leave({ kind: "answered" });
    for (const closedMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      expect(gate.closedForMs).toBe(closedMs);
      entered.length = 0;
      queue("probe");
      queue("other");
      await clock.advance(closedMs);
      expect(entered).toHaveLength(1);
      ticket(entered[0] ?? "")?.leave({ kind: "client_broken" });
    }
    expect(pauses).toEqual([true]);
    entered.length = 0;
    await clock.advance(60_000);
    ticket(entered[0] ?? "")?.leave({ kind: "healthy" });
    expect(pauses).toEqual([true, false]);
    expect(gate.paused).toBe(false);
  });

  it("opens at once when a login has gone through", async () => {
    const { gate, pauses, entered, queue, fail } = make(2);
    await fail(5);
    queue("a");
    queue("b");
    gate.reopen();
    await settle();
    expect(entered).toEqual(["a", "b"]);
    expect(gate.closedForMs).toBe(0);
    expect(pauses).toEqual([]);
    const other = make(2);
    (await other.enter("refused")).leave({ kind: "client_broken" });
    other.gate.reopen();
    expect(other.pauses).toEqual([true, false]);
    await other.enter("next");
  });

  it.each(["healthy", "answered"] as const)("opens when a request that was inside before it closed is %s after all", async (kind) => {
    const { gate, enter, fail, queue, entered } = make(2);
    const older = await enter("older");
    await fail(5);
    expect(gate.closedForMs).toBe(1_000);
    queue("a");
    older.leave({ kind });
    await settle();
    expect(gate.closedForMs).toBe(0);
    expect(entered).toEqual(["a"]);
  });

  it("stays closed for its rest when a request from before it is answered (F12)", async () => {
    const { gate, enter } = make(2);
    const older = await enter("older");
    (await enter("asked to rest")).leave({ kind: "sick", retryAfterSeconds: 30 });
    older.leave({ kind: "answered" });
    expect(gate.closedForMs).toBe(30_000);
  });

  it("opens when another replica has succeeded since the last failure, and for no older success", async () => {
    const { clock, gate, pauses, enter, fail } = make(2);
    gate.noticeSuccess(clock.now());
    expect(gate.lastHealthyAt).toBe(clock.now());
    await clock.advance(10);
    await fail(5);
    expect(gate.isTroubled).toBe(true);
    gate.noticeSuccess(clock.now());
    gate.noticeSuccess(clock.now() - 5);
    expect(gate.closedForMs).toBe(1_000);
    await clock.advance(1);
    gate.noticeSuccess(clock.now());
    expect(gate.closedForMs).toBe(0);
    expect(gate.isTroubled).toBe(false);
    expect(gate.lastHealthyAt).toBe(clock.now());
    (await enter("refused")).leave({ kind: "client_broken" });
    await clock.advance(1);
    gate.noticeSuccess(clock.now());
    expect(pauses).toEqual([true, false]);
  });

  it("probes three times more rarely as one of three replicas, so that all together probe as often as one (I13)", async () => {
    const { clock, gate, enter, fail } = make(3, 3);
    await fail(5);
    expect(gate.closedForMs).toBe(3_000);
    await clock.advance(3_000);
    (await enter("probe")).leave({ kind: "sick" });
    expect(gate.closedForMs).toBe(6_000);
    const paused = make(3, 10);
    for (let each = 0; each < 12; each += 1) {
      (await paused.enter(`refused ${each}`)).leave({ kind: "client_broken" });
      await paused.clock.advance(paused.gate.closedForMs);
    }
    (await paused.enter("refused again")).leave({ kind: "client_broken" });
    // At least every five minutes, however many there are.
    expect(paused.gate.closedForMs).toBe(300_000);
  });

  it("does not reopen into a rest that it was asked for (F12)", async () => {
    const { gate, enter, queue, entered } = make(2);
    (await enter("asked to rest")).leave({ kind: "sick", retryAfterSeconds: 30 });
    entered.length = 0;
    queue("a");
    gate.reopen();
    await settle();
    expect(entered).toEqual([]);
    expect(gate.closedForMs).toBe(30_000);
  });

  it("is crowded for background work when more wait than can be let in soon, or one while it is closed (I14)", async () => {
    const { gate, queue, enter } = make(2);
    await enter("a");
    await enter("b");
    for (let each = 1; each < 2_500; each += 1) queue(`waits ${each}`);
    expect(gate.isCrowdedFor(0)).toBe(false);
    queue("f");
    expect(gate.isCrowdedFor(0)).toBe(true);

    const closed = make(2);
    await closed.fail(5);
    expect(closed.gate.isCrowdedFor(0)).toBe(false);
    closed.queue("probe");
    expect(closed.gate.isCrowdedFor(0)).toBe(true);

    const resting = make(2);
    (await resting.enter("asked to rest")).leave({ kind: "sick", retryAfterSeconds: 30 });
    resting.queue("waits");
    expect(resting.gate.isCrowdedFor(0)).toBe(true);
    await resting.clock.advance(30_000);
    expect(resting.gate.isCrowdedFor(0)).toBe(false);
  });

  it("is crowded while a probe is inside and another one waits", async () => {
    const { clock, gate, queue, fail, enter } = make(2);
    await fail(5);
    await clock.advance(1_000);
    await enter("probe");
    queue("next probe");
    expect(gate.closedForMs).toBe(0);
    expect(gate.isCrowdedFor(0)).toBe(true);
    const paused = make(2);
    (await paused.enter("refused")).leave({ kind: "client_broken" });
    await paused.clock.advance(2_000);
    await paused.enter("probe");
    paused.queue("next probe");
    expect(paused.gate.isCrowdedFor(0)).toBe(true);
  });

  it("lets one queue in front of a closed gate that goes before all who wait there, so that who was refused for good holds up nobody (F42)", async () => {
    const { clock, gate, queue, fail, entered, ticket } = make(2);
    await fail(5);
    queue("refused", "heartbeat", Number.POSITIVE_INFINITY);
    expect(gate.isCrowdedFor(Number.POSITIVE_INFINITY)).toBe(true);
    expect(gate.isCrowdedFor(500)).toBe(false);
    queue("healthy", "heartbeat", 500);
    expect(gate.isCrowdedFor(500)).toBe(true);
    expect(gate.isCrowdedFor(400)).toBe(false);
    await clock.advance(1_000);
    expect(entered).toEqual(["healthy"]);
    queue("user", "user", 900);
    expect(gate.isCrowdedFor(0)).toBe(true);
    ticket("healthy")?.leave({ kind: "healthy" });
    await settle();
    expect(entered).toEqual(["healthy", "user", "refused"]);
  });

  it("refuses all that wait and all that come when the process ends; who is inside goes on (F30)", async () => {
    const { clock, gate, entered, queue, enter } = make(1);
    const inside = await enter("inside");
    queue("waits");
    gate.shutDown();
    queue("comes");
    await settle();
    expect(entered).toEqual(["inside", "waits authorization_server_unavailable", "comes authorization_server_unavailable"]);
    inside.leave({ kind: "healthy" });
    expect(clock.pending).toBe(0);

    const closed = make(1);
    await closed.fail(5);
    closed.queue("waits");
    expect(closed.clock.pending).toBe(1);
    closed.gate.shutDown();
    expect(closed.clock.pending).toBe(0);
  });

  it("holds one timer at most, however many come while it is closed", async () => {
    const { clock, queue, fail } = make(2);
    await fail(5);
    for (let each = 0; each < 10; each += 1) queue(`waits ${each}`);
    expect(clock.pending).toBe(1);
  });

  it("tells who is refused that trying again helps", async () => {
    const { gate } = make(1);
    gate.shutDown();
    await expect(gate.enter("user", 0).entered).rejects.toMatchObject({ retryable: true, retryAfterSeconds: 1 });
  });
});
