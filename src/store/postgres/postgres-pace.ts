import type { Clock, Timer } from "../../clock.ts";

/** Runs something soon after it is asked for, but not more often than once in `everyMs`, however often it is asked for. */
export class PostgresPace {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #run: () => void;
  #resting: Timer | undefined;
  #asked = false;

  constructor(clock: Clock, everyMs: number, run: () => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#run = run;
  }

  ask(): void {
    if (this.#resting !== undefined) {
      this.#asked = true;
      return;
    }
    this.#asked = false;
    this.#resting = this.#clock.schedule(this.#everyMs, () => {
      this.#resting = undefined;
      if (this.#asked) this.ask();
    });
    this.#run();
  }

  stop(): void {
    this.#resting?.cancel();
  }
}
