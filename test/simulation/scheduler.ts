/** Something that is planned for a moment of the simulated time. */
export interface Planned {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** So many events in one millisecond: time will never go on. */
const eventsOfALivelock = 100_000;
/** So many events later the real event loop gets a turn, for progress and for whoever watches the run. */
const eventsPerTurn = 20_000;

/**
 * The time of a simulated world: a queue of events, and nothing else that could decide an order. Between two events all
 * promises run to their rest: Node runs a tick that was planned by a microtask only when no microtask is left. So a run
 * depends on no real time, and the same seed gives the same run.
 */
export class Scheduler {
  readonly #heap: Planned[] = [];
  #now = 0;
  #order = 0;
  #events = 0;
  #stuckAt = -1;
  #stuckSince = 0;

  /** Milliseconds since the world began. */
  get now(): number {
    return this.#now;
  }

  /** How many events have happened. */
  get events(): number {
    return this.#events;
  }

  /** Plans `run`; events of one moment happen in the order in which they were planned. */
  at(at: number, run: () => void): Planned {
    const planned: Planned = { at: Math.max(this.#now, at), order: this.#order++, run };
    this.#push(planned);
    return planned;
  }

  after(delayMs: number, run: () => void): Planned {
    return this.at(this.#now + delayMs, run);
  }

  cancel(planned: Planned): void {
    planned.run = undefined;
  }

  /** Lets everything happen that is planned up to `until`. Rejects with what an event throws. */
  run(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const next = this.#pop(until);
          if (next === undefined) {
            this.#now = until;
            resolve();
            return;
          }
          this.#now = next.at;
          this.#checkProgress();
          next.run?.();
        } catch (error) {
          reject(error);
          return;
        }
        this.#events += 1;
        if (this.#events % eventsPerTurn === 0) setImmediate(step);
        else queueMicrotask(rest);
      };
      const rest = (): void => process.nextTick(step);
      process.nextTick(step);
    });
  }

  /** Throws when simulated time stands still. */
  #checkProgress(): void {
    if (this.#now - this.#stuckAt >= 1) {
      this.#stuckAt = this.#now;
      this.#stuckSince = this.#events;
    } else if (this.#events - this.#stuckSince > eventsOfALivelock)
      throw new Error(`livelock: ${eventsOfALivelock} events in the millisecond of ${this.#now}`);
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(planned);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || before(parent, planned)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = planned;
  }

  /** The next event up to `until` that was not cancelled. */
  #pop(until: number): Planned | undefined {
    const heap = this.#heap;
    for (;;) {
      const first = heap[0];
      if (first === undefined || (first.run !== undefined && first.at > until)) return undefined;
      const last = heap.pop();
      if (last !== undefined && last !== first) this.#sink(last);
      if (first.run !== undefined) return first;
    }
  }

  #sink(planned: Planned): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let child = heap[below];
      const right = heap[below + 1];
      if (child !== undefined && right !== undefined && before(right, child)) {
        below += 1;
        child = right;
      }
      if (child === undefined || before(planned, child)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = planned;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
