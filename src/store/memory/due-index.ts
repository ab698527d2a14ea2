/** How wide a bucket is, in milliseconds. Ids within one are sorted when they are taken. */
const bucketMs = 250;

/**
 * Ids by the time when they are due: a timing wheel without a rim. Setting, clearing and taking one id costs the same
 * with ten ids and with a million.
 */
export class DueIndex<Id extends string> {
  readonly #dueAt = new Map<Id, number>();
  readonly #buckets = new Map<number, Set<Id>>();
  /** No bucket before this one holds anything. */
  #first = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#dueAt.size;
  }

  /** Sets when `id` is due; undefined: never. */
  set(id: Id, dueAt: number | undefined): void {
    this.#clear(id);
    if (dueAt === undefined) return;
    const number = Math.floor(dueAt / bucketMs);
    this.#dueAt.set(id, dueAt);
    const bucket = this.#buckets.get(number);
    if (bucket === undefined) this.#buckets.set(number, new Set([id]));
    else bucket.add(id);
    if (number < this.#first) this.#first = number;
  }

  /** Up to `limit` ids that are due at `now`, soonest first, each moved to `laterAt`. */
  take(now: number, limit: number, laterAt: number): Id[] {
    const due: { id: Id; dueAt: number }[] = [];
    for (const number of this.#dueBuckets(Math.floor(now / bucketMs))) {
      for (const id of this.#buckets.get(number) ?? []) {
        const dueAt = this.#dueAt.get(id);
        if (dueAt !== undefined && dueAt <= now) due.push({ id, dueAt });
      }
      if (due.length >= limit) break;
    }
    due.sort((a, b) => a.dueAt - b.dueAt);
    const taken = due.slice(0, limit).map(({ id }) => id);
    for (const id of taken) this.set(id, laterAt);
    return taken;
  }

  /** Moves every due time by `byMs`. */
  shift(byMs: number): void {
    const all = [...this.#dueAt];
    this.#dueAt.clear();
    this.#buckets.clear();
    this.#first = Number.POSITIVE_INFINITY;
    for (const [id, dueAt] of all) this.set(id, dueAt + byMs);
  }

  #clear(id: Id): void {
    const dueAt = this.#dueAt.get(id);
    if (dueAt === undefined) return;
    this.#dueAt.delete(id);
    const number = Math.floor(dueAt / bucketMs);
    const bucket = this.#buckets.get(number);
    bucket?.delete(id);
    if (bucket?.size === 0) this.#buckets.delete(number);
  }

  /** The numbers of the non-empty buckets up to `last`, in order. */
  #dueBuckets(last: number): number[] {
    if (this.#buckets.size === 0) this.#first = Number.POSITIVE_INFINITY;
    if (this.#first > last) return [];
    const numbers: number[] = [];
    // After a long pause there are fewer buckets than ticks: look at what is there instead of walking the gap.
    if (last - this.#first > this.#buckets.size) {
      for (const number of this.#buckets.keys()) if (number <= last) numbers.push(number);
      numbers.sort((a, b) => a - b);
    } else {
      for (let number = this.#first; number <= last; number += 1) if (this.#buckets.has(number)) numbers.push(number);
    }
    this.#first = numbers[0] ?? last;
    return numbers;
  }
}
