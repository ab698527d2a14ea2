import { defineConfig } from "vitest/config";

/** Needs Chromium. */
const browser = ["test/browser/**/*.test.ts", "test/**/*.browser.test.ts"];
/** Takes minutes. */
const long = ["test/long/**/*.test.ts", "test/**/*.long.test.ts"];

const isCi = process.env["CI"] === "true";

export default defineConfig({
  test: {
    watch: false,
    reporters: ["default"],
    // Left to itself vitest keeps one core free: on two cores that would be half the machine.
    maxWorkers: "100%",
    testTimeout: 15_000,
    hookTimeout: 30_000,
    // A test that is skipped or focused by accident must not turn the run green.
    allowOnly: !isCi,
    passWithNoTests: false,
    projects: [
      { extends: true, test: { name: "fast", include: ["test/**/*.test.ts"], exclude: [...browser, ...long] } },
      { extends: true, test: { name: "browser", include: browser, testTimeout: 60_000 } },
      { extends: true, test: { name: "long", include: long, testTimeout: 900_000 } },
    ],
  },
});
