import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** These play through hours, or through many interleavings. Most mutants die without them. */
const slow = ["failures", "schedule", "login-sessions", "concurrency.property"].map((name) => `${name}.test.ts`);
/** The first failure ends the run of a mutant: tests of pure functions come first. */
const order = ["times.test.ts", "refresh-plan.test.ts", "record-changes.test.ts", ".test.ts", ...slow];
const withoutSlow = process.env["LATCHKEY_MUTATE"] === "quick";

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const named = order.findIndex((name) => name !== ".test.ts" && moduleId.endsWith(`/${name}`));
      return named === -1 ? order.indexOf(".test.ts") : named;
    };
    return files.toSorted((a, b) => place(a) - place(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

/** The unit tests of the folders that `npm run mutate` mutates. */
export default defineConfig({
  test: {
    include: ["test/{token,session,heartbeat}/**/*.test.ts", "test/store/memory.test.ts"],
    exclude: ["test/**/*.{browser,long}.test.ts", ...(withoutSlow ? slow.map((name) => `test/**/${name}`) : [])],
    watch: false,
    // No test leaves anything behind in a module (B1), and a mutant is tried in half the time.
    isolate: false,
    testTimeout: 10_000,
    sequence: { sequencer: QuickFirst },
  },
});
