import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findTests, idsIn, type NamedTest, testsIn } from "../support/e2e-test-names.ts";
import { requirements } from "./requirements.ts";

const here = import.meta.dirname;
const ids = requirements.map(({ id }) => id);

/** Requirements that no end-to-end test cites. */
function uncovered(tests: readonly NamedTest[]): readonly string[] {
  const cited = new Set(tests.flatMap(({ name }) => idsIn(name)));
  return ids.filter((id) => !cited.has(id));
}

/** Tests that cite an id that there is not. */
function unknown(tests: readonly NamedTest[]): readonly string[] {
  return tests.flatMap(({ file, name }) => idsIn(name).flatMap((id) => (ids.includes(id) ? [] : [`${id} in ${file}: ${name}`])));
}

describe("the requirements", () => {
  test("have ids of their own", () => {
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => idsIn(id)[0] !== id)).toEqual([]);
  });

  test("are each cited in the name of an end-to-end test", () => {
    expect(uncovered(findTests(here))).toEqual([]);
  });

  test("are the only ones that any test cites", () => {
    const tests = findTests(join(here, ".."));
    expect(tests.length).toBeGreaterThan(100);
    expect(unknown(tests)).toEqual([]);
  });
});

describe("the check of the names", () => {
  // Put together here, so that the check does not find them in this file's own names.
  const stranger = ["R", "99"].join("");

  test("finds a requirement without a test, and an id without a requirement", () => {
    const tests = testsIn(`test("logs out (R7)", () => {}); describe("x (${stranger})", () => { test("does y", () => {}); });`);
    const named = tests.map((name) => ({ file: "seeded.test.ts", name }));
    expect(uncovered(named)).toContain("R1");
    expect(uncovered(named)).not.toContain("R7");
    expect(unknown(named)).toEqual([`${stranger} in seeded.test.ts: x (${stranger}) > does y`]);
  });

  test("reads names wherever they are written, and nothing but names", () => {
    const source = [
      'import { describe, it, test } from "vitest";',
      "// test('in a comment (R1)')",
      "const text = \"test('in a string (R1)')\";",
      'describe.concurrent("group", () => {',
      '  it("one (R3)", async () => { await call("not a test (R1)"); });',
      "  test.each([1, 2])(`two over $" + "{1} (R4)`, () => {});",
      '  test.concurrent("three", () => {});',
      "});",
    ].join("\n");
    expect(testsIn(source)).toEqual(["group > one (R3)", "group > two over … (R4)", "group > three"]);
  });

  test("takes no other word for an id", () => {
    expect(idsIn("S256 and RS256, R / 2, SR1, R1a; (R1), S6.")).toEqual(["R1", "S6"]);
  });
});
