import { describe, expect, it } from "vitest";
import { type Mutant, mutants } from "./mutants.ts";
import { simulate } from "./simulation.ts";
import { replayCommand } from "./summary.ts";

const small = { hours: 3, users: 28, replicas: 2 };

/** Seeds until one has found something; at most `most`. */
async function seedsUntilFound(mutant: Mutant, most: number): Promise<readonly string[]> {
  for (let seed = 1; seed <= most; seed += 1) {
    const { violations } = await simulate({ ...small, seed, mutant, stopsEarly: true });
    if (violations.length > 0) return violations.map(({ rule }) => rule);
  }
  return [];
}

describe("a simulated world", () => {
  it("goes the same way twice with one seed, and another with another", { timeout: 60_000 }, async () => {
    const first = await simulate({ ...small, seed: 7 });
    const again = await simulate({ ...small, seed: 7 });
    const other = await simulate({ ...small, seed: 8 });
    expect(again.traceHash).toBe(first.traceHash);
    expect(again.events).toBe(first.events);
    expect([...again.counts]).toEqual([...first.counts]);
    expect(other.traceHash).not.toBe(first.traceHash);
    for (const run of [first, other])
      expect(
        run.violations.map(({ rule, text }) => `${rule}: ${text}`),
        replayCommand({ ...small, seed: run.seed }),
      ).toEqual([]);
  });

  const mistakes = Object.entries(mutants).filter(([name]) => name !== "none");
  it.each(mistakes)("finds a mistake within a few seeds: %s (%s)", { timeout: 60_000 }, async (name) => {
    if (!isMutant(name)) throw new Error(`no mutant ${name}`);
    expect((await seedsUntilFound(name, 25)).length).toBeGreaterThan(0);
  });
});

function isMutant(name: string): name is Mutant {
  return name in mutants;
}
