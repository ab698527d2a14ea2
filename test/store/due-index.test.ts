import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DueIndex } from "../../src/store/memory/due-index.ts";

describe("the due index", () => {
  it("gives what is due, the soonest first, to the millisecond", () => {
    const index = new DueIndex<string>();
    index.set("c", 1_003);
    index.set("a", 1_001);
    index.set("b", 1_002);
    expect(index.take(1_000, 10, 5_000)).toEqual([]);
    expect(index.take(1_002, 10, 5_000)).toEqual(["a", "b"]);
    expect(index.take(1_003, 10, 5_000)).toEqual(["c"]);
    expect(index.size).toBe(3);
    expect(index.take(5_000, 10, 9_000)).toHaveLength(3);
  });

  it("never gives more than it was asked for, and leaves the others due", () => {
    const index = new DueIndex<string>();
    for (let each = 0; each < 10; each += 1) index.set(`id-${each}`, 100 - each);
    expect(index.take(100, 3, 1_000)).toEqual(["id-9", "id-8", "id-7"]);
    expect(index.take(100, 3, 1_000)).toEqual(["id-6", "id-5", "id-4"]);
  });

  it("finds what became due in a very long pause, and before its own start (F25)", () => {
    const index = new DueIndex<string>();
    index.set("later", 10 * 365 * 86_400_000);
    index.set("soon", 1_000);
    expect(index.take(8 * 3_600_000, 10, 9 * 3_600_000)).toEqual(["soon"]);
    index.set("before", -5_000);
    expect(index.take(0, 10, 1)).toEqual(["before"]);
    expect(index.take(20 * 365 * 86_400_000, 10, 1)).toEqual(expect.arrayContaining(["later", "soon", "before"]));
  });

  it("does as a plain sorted list would (property)", () => {
    const id = fc.constantFrom("a", "b", "c", "d", "e", "f");
    const time = fc.oneof(fc.integer({ min: -2_000, max: 10_000 }), fc.integer({ min: 0, max: 1_000_000_000 }));
    const command = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), id, at: fc.option(time, { nil: undefined }) }),
      fc.record({
        kind: fc.constant("take" as const),
        now: time,
        limit: fc.integer({ min: 1, max: 4 }),
        lease: fc.integer({ min: 1, max: 5_000 }),
      }),
      fc.record({ kind: fc.constant("shift" as const), by: fc.integer({ min: -1_000_000, max: 1_000_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const index = new DueIndex<string>();
        const naive = new Map<string, number>();
        for (const each of commands) {
          switch (each.kind) {
            case "set":
              index.set(each.id, each.at);
              if (each.at === undefined) naive.delete(each.id);
              else naive.set(each.id, each.at);
              break;
            case "shift":
              index.shift(each.by);
              for (const [known, at] of naive) naive.set(known, at + each.by);
              break;
            case "take": {
              const taken = index.take(each.now, each.limit, each.now + each.lease);
              const due = [...naive].filter(([, at]) => at <= each.now);
              expect(taken).toHaveLength(Math.min(each.limit, due.length));
              expect(new Set(taken).size).toBe(taken.length);
              // Of two that are due at the same moment, either may come first.
              const times = due.map(([, at]) => at).sort((a, b) => a - b);
              expect(taken.map((known) => naive.get(known))).toEqual(times.slice(0, each.limit));
              for (const known of taken) naive.set(known, each.now + each.lease);
              break;
            }
          }
          expect(index.size).toBe(naive.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("costs the same with many entries that are not due", () => {
    const index = new DueIndex<string>();
    for (let each = 0; each < 20_000; each += 1) index.set(`id-${each}`, 1_000_000 + each * 10);
    for (let now = 0; now < 900_000; now += 100) expect(index.take(now, 10, now + 1)).toEqual([]);
  });
});
