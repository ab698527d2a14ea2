import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GatePriority } from "../../src/token/gate-queue.ts";
import { RateBudget } from "../../src/token/rate-budget.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Takes at once what there is. */
function drain(budget: RateBudget, priority: GatePriority): number {
  let taken = 0;
  while (budget.waitMs(priority) === 0) {
    budget.take();
    taken += 1;
  }
  return taken;
}

describe("the rate budget (I13)", () => {
  it("lends to a user half a second's worth ahead of the heartbeat, which waits until that is paid back", async () => {
    const clock = new ManualClock();
    const budget = new RateBudget(clock, () => 20);
    expect(drain(budget, "heartbeat")).toBe(10);
    expect(budget.waitMs("heartbeat")).toBe(50);
    expect(drain(budget, "user")).toBe(10);
    expect(budget.waitMs("user")).toBe(50);
    expect(budget.waitMs("heartbeat")).toBe(550);
    await clock.advance(550);
    expect(drain(budget, "heartbeat")).toBe(1);
  });

  it("keeps no more than half a second's worth, however long nobody asked, but always one", async () => {
    const clock = new ManualClock();
    const [quick, slow] = [new RateBudget(clock, () => 20), new RateBudget(clock, () => 1)];
    await clock.advance(3_600_000);
    expect(drain(quick, "heartbeat")).toBe(10);
    expect(drain(slow, "heartbeat")).toBe(1);
    expect(slow.waitMs("heartbeat")).toBe(1_000);
  });

  it("is not there without a limit", () => {
    const budget = new RateBudget(new ManualClock(), () => Number.POSITIVE_INFINITY);
    for (let each = 0; each < 100_000; each += 1) budget.take();
    expect(budget.waitMs("heartbeat")).toBe(0);
  });

  it("holds half a second's worth when a limit comes where none was", () => {
    let perSecond = Number.POSITIVE_INFINITY;
    const budget = new RateBudget(new ManualClock(), () => perSecond);
    budget.take();
    perSecond = 20;
    expect(drain(budget, "heartbeat")).toBe(10);
  });

  it("follows a share that changes: with a second replica half as many", async () => {
    const clock = new ManualClock();
    let replicas = 1;
    const budget = new RateBudget(clock, () => 20 / replicas);
    replicas = 2;
    expect(drain(budget, "heartbeat")).toBe(5);
    await clock.advance(1_000);
    expect(drain(budget, "heartbeat")).toBe(5);
    expect(budget.waitMs("heartbeat")).toBe(100);
  });

  it("never lets more than perSecond x (T + 1), or 2 more than perSecond x T, begin within T seconds, and wakes nobody in vain", async () => {
    const step = fc.record({
      user: fc.boolean(),
      many: fc.nat(20),
      pauseMs: fc.oneof(fc.nat(3_000), fc.double({ min: 0, max: 3, noNaN: true })),
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3_000 }), fc.array(step, { maxLength: 30 }), async (perSecond, steps) => {
        const clock = new ManualClock();
        const budget = new RateBudget(clock, () => perSecond);
        const starts: number[] = [];
        for (const { user, many, pauseMs } of steps) {
          const priority = user ? "user" : "heartbeat";
          for (let each = 0; each < many; each += 1) {
            const waitMs = budget.waitMs(priority);
            if (waitMs > 0) await clock.advance(waitMs);
            expect(budget.waitMs(priority)).toBe(0);
            budget.take();
            starts.push(clock.monotonic());
          }
          await clock.advance(pauseMs);
        }
        for (const [from, first] of starts.entries())
          for (const [to, last] of starts.entries()) {
            const seconds = (last - first) / 1000;
            if (to >= from) expect(to - from + 1).toBeLessThanOrEqual(Math.max(perSecond * (seconds + 1), perSecond * seconds + 2) + 0.01);
          }
      }),
      { numRuns: 25 },
    );
  });
});
