import type { Clock, Timer } from "../../src/clock.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** When the simulated world begins, on a clock that goes right. */
export const worldBegin = Date.UTC(2026, 0, 1);

/**
 * One process of the operating system: whatever comes from outside, a timer, an answer, a message, enters through it.
 * Killed, nothing ever enters again; stopped (SIGSTOP, or a machine that sleeps), it waits at the door.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  #state: "running" | "stopped" | "killed" = "running";
  #waiting: (() => void)[] = [];
  #skewMs = 0;
  /** Time that the monotonic clock has not counted. */
  #sleptMs = 0;
  #timers = 0;

  constructor(name: string, scheduler: Scheduler, random: SeededRandom) {
    this.name = name;
    this.#scheduler = scheduler;
    this.#random = random;
    this.clock = {
      now: () => worldBegin + Math.floor(scheduler.now) + this.#skewMs,
      monotonic: () => scheduler.now - this.#sleptMs,
      schedule: (delayMs, run) => this.#schedule(delayMs, run),
    };
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  get isKilled(): boolean {
    return this.#state === "killed";
  }

  /** By how much its wall clock is ahead. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers;
  }

  /** `run` happens in this process: now, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.#state === "running") run();
    else if (this.#state === "stopped") this.#waiting.push(run);
  }

  kill(): void {
    this.#state = "killed";
    this.#waiting = [];
  }

  stop(): void {
    if (this.#state === "running") this.#state = "stopped";
  }

  /** Goes on. `sleptMs`: what the monotonic clock missed. What has waited comes in in any order. */
  goOn(sleptMs = 0): void {
    if (this.#state !== "stopped") return;
    this.#state = "running";
    this.#sleptMs += sleptMs;
    for (const run of this.#waiting.splice(0)) this.#scheduler.after(this.#random.between(0, 5), () => this.enter(run));
  }

  setSkew(skewMs: number): void {
    this.#skewMs = skewMs;
  }

  #schedule(delayMs: number, run: () => void): Timer {
    this.#timers += 1;
    // As setTimeout: never less than a millisecond.
    const waitMs = Math.max(1, Number.isNaN(delayMs) ? 0 : delayMs);
    const dueAt = this.clock.monotonic() + waitMs;
    let waits = true;
    const done = (): void => {
      if (waits) this.#timers -= 1;
      waits = false;
    };
    const fire = (): void => {
      if (!waits) return;
      // The machine slept: the timer has as much left as it had.
      const leftMs = dueAt - this.clock.monotonic();
      if (leftMs > 0.001) {
        planned = this.#scheduler.after(Math.max(1, leftMs), onTime);
        return;
      }
      done();
      run();
    };
    const onTime = (): void => this.enter(fire);
    let planned = this.#scheduler.after(waitMs, onTime);
    return {
      cancel: () => {
        done();
        this.#scheduler.cancel(planned);
      },
    };
  }
}
