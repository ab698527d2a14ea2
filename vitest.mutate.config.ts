import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The first failure ends the run of a mutant: tests of pure functions come first, those that play through hours last. */
const order = [
  "times.test.ts",
  "refresh-plan.test.ts",
  "record-changes.test.ts",
  ".test.ts",
  "failures.test.ts",
  "schedule.test.ts",
  "login-sessions.test.ts",
  "concurrency.property.test.ts",
];

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
    exclude: ["test/**/*.{browser,long}.test.ts"],
    watch: false,
    // No test leaves anything behind in a module (B1), and a mutant is tried in half the time.
    isolate: false,
    testTimeout: 10_000,
    sequence: { sequencer: QuickFirst },
  },
});
