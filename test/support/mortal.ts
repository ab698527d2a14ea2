import type { Clock } from "../../src/clock.ts";

/** A process that can be killed: what belongs to it is wrapped, and comes to no end afterwards. Each way in and out is a step. */
export class Mortal {
  /** The step at which it is killed, counted from 1; undefined: at none. */
  readonly #diesAt: number | undefined;
  readonly #onStep: (label: string) => Promise<void>;
  #steps = 0;
  #isDead = false;

  constructor(options: { readonly diesAt?: number; readonly onStep?: (label: string) => Promise<void> } = {}) {
    this.#diesAt = options.diesAt;
    this.#onStep = options.onStep ?? (() => Promise.resolve());
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  die(): void {
    this.#isDead = true;
  }

  /** The same but that each method that gives a promise has a step before and one after it. */
  wrap<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(value, target, args);
          if (name === "importPort") return this.wrap(Object(call()));
          return this.#step(`${String(name)} called`).then(async () => {
            const result = await call();
            await this.#step(`${String(name)} answered`);
            return result;
          });
        };
      },
    });
  }

  clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, run) => clock.schedule(delayMs, () => (this.#isDead ? undefined : run())),
    };
  }

  async #step(label: string): Promise<void> {
    this.#steps += 1;
    if (this.#steps === this.#diesAt) this.#isDead = true;
    if (!this.#isDead) await this.#onStep(label);
    if (this.#isDead) await new Promise(() => {});
  }
}
