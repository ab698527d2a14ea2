import fc from "fast-check";
import { expect, it } from "vitest";
import { StoreClock } from "../../src/store/store-clock.ts";
import { ManualClock } from "../support/manual-clock.ts";

it("shows the local time until the store's is known", () => {
  const local = new ManualClock();
  const clock = new StoreClock(local);
  expect(clock.now()).toBe(local.now());
});

it("shows the store's time, whatever the local wall clock says (F25)", async () => {
  const local = new ManualClock();
  const clock = new StoreClock(local);
  const store = (): number => 5_000_000 + local.monotonic();
  clock.observe(store(), local.monotonic());
  expect(clock.now()).toBe(store());
  local.jumpWall(3_600_000);
  expect(clock.now()).toBe(store());
  local.jumpWall(-7_200_000);
  await local.advance(10_000);
  expect(clock.now()).toBe(store());
});

it("is at most half a round trip wrong, and trusts the quickest reading", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 400 })), { minLength: 1, maxLength: 40 }),
      async (ways) => {
        const local = new ManualClock();
        const clock = new StoreClock(local);
        const store = (): number => 9_000_000 + local.monotonic();
        let quickest = Number.POSITIVE_INFINITY;
        for (const [there, back] of ways.slice(-32)) {
          const askedAt = local.monotonic();
          await local.advance(there);
          const read = store();
          await local.advance(back);
          clock.observe(read, askedAt);
          quickest = Math.min(quickest, there + back);
          expect(Math.abs(clock.now() - store())).toBeLessThanOrEqual(quickest / 2);
        }
      },
    ),
  );
});

it("follows at once when the store is another one, with another clock (F48)", async () => {
  const local = new ManualClock();
  const clock = new StoreClock(local);
  for (let each = 0; each < 40; each += 1) clock.observe(1_000_000 + local.monotonic(), local.monotonic());
  const other = (): number => 1_060_000 + local.monotonic();
  const askedAt = local.monotonic();
  await local.advance(80);
  clock.observe(other(), askedAt);
  expect(Math.abs(clock.now() - other())).toBeLessThanOrEqual(40);
});

it("forgets old readings, so that a clock that runs otherwise is followed", async () => {
  const local = new ManualClock();
  const clock = new StoreClock(local);
  let drift = 0;
  for (let each = 0; each < 200; each += 1) {
    await local.advance(500);
    drift += 5;
    const askedAt = local.monotonic();
    await local.advance(2);
    clock.observe(2_000_000 + local.monotonic() + drift, askedAt);
  }
  expect(Math.abs(clock.now() - (2_000_000 + local.monotonic() + drift))).toBeLessThanOrEqual(5 * 32);
});
