import { setTimeout as pause } from "node:timers/promises";

const lookEveryMs = 20;

/**
 * Asks again and again until the answer is neither undefined nor false, and gives it. Throws after `withinMs` with what
 * was waited for, and with the last thing that `look` threw.
 */
export async function eventually<T>(what: string, look: () => T | Promise<T>, withinMs = 10_000): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let problem: unknown;
    try {
      const answer = await look();
      if (isThere(answer)) return answer;
    } catch (thrown) {
      problem = thrown;
    }
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain: ${what}.`, { cause: problem });
    await pause(lookEveryMs);
  }
}

/** Lets time go by in which something must not happen. Only for that: for everything that must happen there is `eventually`. */
export function nothingHappensFor(seconds: number): Promise<void> {
  return pause(seconds * 1000);
}

/** A breath between two rounds of calls: two cores are shared by everything that runs. */
export function breath(): Promise<void> {
  return pause(10);
}

/** Until a moment (ms since the epoch), as exactly as a timer goes. */
export async function untilTime(at: number): Promise<void> {
  const left = at - Date.now();
  if (left > 0) await pause(left);
}

/** What `run` gives, and how long it took. */
export async function timed<T>(run: () => Promise<T>): Promise<{ readonly value: T; readonly milliseconds: number }> {
  const begin = performance.now();
  const value = await run();
  return { value, milliseconds: performance.now() - begin };
}

function isThere<T>(value: T): value is Exclude<T, undefined | false> {
  return value !== undefined && value !== false;
}
