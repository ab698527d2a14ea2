import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The first failure ends the run of a mutant, so the quick tests come first and these last. */
const slow = ["failures.test.ts", "schedule.test.ts", "login-sessions.test.ts", "concurrency.property.test.ts"];

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => slow.findIndex((name) => moduleId.endsWith(name));
    return files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId));
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
