/** A waiting user goes before the heartbeat. */
export type GatePriority = "user" | "heartbeat";

interface Entry<Item> {
  priority: GatePriority;
  readonly expiresAt: number;
  /** Of two that are alike, the one that came first goes first. */
  readonly arrival: number;
  readonly item: Item;
  /** Its place in the heap; undefined once it was taken. */
  index: number | undefined;
}

/** A place in the queue. */
export interface QueuePlace {
  /** A user is waiting now: it moves forward. Does nothing once it was taken. */
  promote(): void;
}

/** Who waits in front of a gate: users first, then the soonest expiry. A binary heap, so thousands may wait. */
export class GateQueue<Item> {
  readonly #heap: Entry<Item>[] = [];
  #arrivals = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The priority of who is next; undefined when nobody waits. */
  get nextPriority(): GatePriority | undefined {
    return this.#heap[0]?.priority;
  }

  add(item: Item, priority: GatePriority, expiresAt: number): QueuePlace {
    this.#arrivals += 1;
    const entry: Entry<Item> = { priority, expiresAt, arrival: this.#arrivals, item, index: this.#heap.length };
    this.#heap.push(entry);
    this.#rise(entry);
    return {
      promote: () => {
        entry.priority = "user";
        this.#rise(entry);
      },
    };
  }

  takeFirst(): Item | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined) return undefined;
    first.index = undefined;
    if (last !== first) {
      this.#put(last, 0);
      this.#sink(last);
    }
    return first.item;
  }

  /** Everybody, in no order; nobody waits afterwards. */
  takeAll(): readonly Item[] {
    const all = this.#heap.splice(0);
    for (const entry of all) entry.index = undefined;
    return all.map((entry) => entry.item);
  }

  #rise(entry: Entry<Item>): void {
    while (entry.index !== undefined) {
      const { index } = entry;
      // Of the first place it is -1, and there is no parent.
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex];
      if (parent === undefined || !isBefore(entry, parent)) return;
      this.#put(parent, index);
      this.#put(entry, parentIndex);
    }
  }

  #sink(entry: Entry<Item>): void {
    while (entry.index !== undefined) {
      const { index } = entry;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child?.index === undefined || !isBefore(child, entry)) return;
      const childIndex = child.index;
      this.#put(child, index);
      this.#put(entry, childIndex);
    }
  }

  #put(entry: Entry<Item>, index: number): void {
    entry.index = index;
    this.#heap[index] = entry;
  }
}

function isBefore<Item>(a: Entry<Item>, b: Entry<Item>): boolean {
  if (a.priority !== b.priority) return a.priority === "user";
  if (a.expiresAt !== b.expiresAt) return a.expiresAt < b.expiresAt;
  return a.arrival < b.arrival;
}
