import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GatePriority, GateQueue, type QueuePlace } from "../../src/token/gate-queue.ts";

type Step =
  | { readonly kind: "add"; readonly priority: GatePriority; readonly expiresAt: number }
  | { readonly kind: "promote" | "take"; readonly nth: number };

const priority = fc.constantFrom<GatePriority>("user", "heartbeat");
const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ kind: fc.constant("add" as const), priority, expiresAt: fc.nat(5) }),
    fc.record({ kind: fc.constantFrom("promote" as const, "take" as const), nth: fc.nat(30) }),
  ),
  { maxLength: 60 },
);

interface Known {
  readonly name: number;
  priority: GatePriority;
  readonly expiresAt: number;
  readonly place: QueuePlace;
}

function nextOf(known: readonly Known[]): Known | undefined {
  const rank = (each: Known): number => (each.priority === "user" ? 0 : 1);
  return known.toSorted((a, b) => rank(a) - rank(b) || a.expiresAt - b.expiresAt || a.name - b.name)[0];
}

describe("the queue of a gate", () => {
  it("gives users first, then the soonest expiry, then who came first, whoever is promoted when (I13)", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const queue = new GateQueue<number>();
        const waiting: Known[] = [];
        const ever: Known[] = [];
        for (const [name, step] of all.entries()) {
          switch (step.kind) {
            case "add": {
              const place = queue.add(name, step.priority, step.expiresAt);
              const known = { name, priority: step.priority, expiresAt: step.expiresAt, place };
              waiting.push(known);
              ever.push(known);
              break;
            }
            case "promote": {
              // One that was taken already may be promoted too: nothing happens.
              const known = ever[step.nth % Math.max(1, ever.length)];
              if (known === undefined) break;
              known.priority = "user";
              known.place.promote();
              break;
            }
            case "take": {
              const next = nextOf(waiting);
              expect(queue.nextPriority).toBe(next?.priority);
              expect(queue.takeFirst()).toBe(next?.name);
              if (next !== undefined) waiting.splice(waiting.indexOf(next), 1);
              break;
            }
          }
          expect(queue.size).toBe(waiting.length);
        }
        expect([...queue.takeAll()].sort()).toEqual(waiting.map(({ name }) => name).sort());
        expect(queue.size).toBe(0);
      }),
    );
  });

  it("keeps that order with 5,000 that wait, half of whom a user comes for", () => {
    const queue = new GateQueue<number>();
    const expiryOf = (index: number): number => (index * 7_919) % 5_003;
    const places = Array.from({ length: 5_000 }, (_, index) => queue.add(index, "heartbeat", expiryOf(index)));
    for (const [index, place] of places.entries()) if (index % 2 === 1) place.promote();
    const names = places.map((_, index) => index);
    const expected = names.toSorted((a, b) => (b % 2) - (a % 2) || expiryOf(a) - expiryOf(b));
    expect(names.map(() => queue.takeFirst())).toEqual(expected);
  });
});
