import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The tests that are named after the file that is mutated. */
const own = `${process.env["LATCHKEY_MUTATE_FIRST"] ?? "times"}.test.ts`;
/** These play through hours, or through many interleavings. Most mutants die without them. */
const allSlow = ["failures", "schedule", "login-sessions", "concurrency.property"].map((name) => `${name}.test.ts`);
const slow = allSlow.filter((name) => name !== own);
/** The slowest of the quick. */
const slower = ["logout", "repair-debts", "issuer-gate.property", "heartbeat"].map((name) => `${name}.test.ts`);
const pure = ["times.test.ts", "refresh-plan.test.ts", "record-changes.test.ts"];
const isQuick = process.env["LATCHKEY_MUTATE"] === "quick";
/**
 * The first failure ends the run of a mutant: its own tests come first, then those of pure functions. Whoever meets the slow
 * ones has met the others before, so they come first then.
 */
const order = [...(isQuick ? [] : slow), own, ...pure, "", ...slower, ...slow];

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const named = order.findIndex((name) => name !== "" && moduleId.endsWith(`/${name}`));
      return named === -1 ? order.indexOf("") : named;
    };
    return files.toSorted((a, b) => place(a) - place(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

/** The unit tests of the folders that `npm run mutate` mutates. */
export default defineConfig({
  test: {
    include: ["test/{token,session,heartbeat}/**/*.test.ts", "test/store/memory.test.ts"],
    exclude: ["test/**/*.{browser,long}.test.ts", ...(isQuick ? slow.map((name) => `test/**/${name}`) : [])],
    watch: false,
    // No test leaves anything behind in a module (B1), and a mutant is tried in half the time.
    isolate: false,
    // Their clock is moved by hand, so all of them are quick: one that takes seconds waits for what never comes.
    testTimeout: isQuick && !allSlow.includes(own) ? 3_000 : 10_000,
    sequence: { sequencer: QuickFirst },
  },
});
