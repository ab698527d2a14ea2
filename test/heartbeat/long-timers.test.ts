import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sleep, systemClock } from "../../src/clock.ts";

const longestMs = 2 ** 31 - 1;
const dayMs = 86_400_000;

describe("a timer of the system clock (F19)", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each([30, 3_650])("of %i days fires after %i days and not at once, and sets no delay that overflows", async (days) => {
    const set = vi.spyOn(globalThis, "setTimeout");
    const run = vi.fn();
    systemClock.schedule(days * dayMs, run);
    await vi.advanceTimersByTimeAsync(days * dayMs - 1);
    expect(run).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(run).toHaveBeenCalledTimes(1);
    for (const [, delay] of set.mock.calls) expect(delay).toBeLessThanOrEqual(longestMs);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("can be cancelled in any of its legs, twice, and after it fired", async () => {
    const run = vi.fn();
    const timer = systemClock.schedule(100 * dayMs, run);
    await vi.advanceTimersByTimeAsync(50 * dayMs);
    timer.cancel();
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(100 * dayMs);
    expect(run).not.toHaveBeenCalled();
  });

  it.each([Number.NaN, -1, 0])("of %d ms fires at once", async (delayMs) => {
    const run = vi.fn();
    systemClock.schedule(delayMs, run);
    await vi.advanceTimersByTimeAsync(1);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it("leaves nothing behind when a sleep is aborted", async () => {
    const stop = new AbortController();
    const slept = sleep(systemClock, 30 * dayMs, stop.signal);
    stop.abort();
    await slept;
    expect(vi.getTimerCount()).toBe(0);
    await sleep(systemClock, 30 * dayMs, stop.signal);
    expect(vi.getTimerCount()).toBe(0);
  });
});
