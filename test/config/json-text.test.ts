import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readJsonText } from "../../src/config/json-text.ts";

describe("a syntax error is named with line and column", () => {
  test.each([
    ['{\n  "a": 1,\n}', 'line 2, column 9: there must be no comma before "}": remove it'],
    ["[1,]", 'line 1, column 3: there must be no comma before "]": remove it'],
    ["{", 'line 1, column 2: the file ends here, but a key in double quotes ("…") must follow'],
    ["", "line 1, column 1: the file ends here, but a value must follow"],
    ['{"a" 1}', 'line 1, column 6: ":" after the key must stand here'],
    ['{"a": 1 "b": 2}', 'line 1, column 9: "," or "}" must stand here'],
    ["{'a': 1}", "line 1, column 2: texts stand in double quotes in JSON, not in single ones"],
    ["{a: 1}", 'line 1, column 2: a key in double quotes ("…") must stand here'],
    ['{"a": tru}', "line 1, column 7: a value must stand here"],
    ['{"a": 01}', "line 1, column 7: a value must stand here"],
    ['{"a": 1} x', "line 1, column 10: the end of the file must stand here"],
    ["{ // why\n}", "line 1, column 3: JSON has no comments: remove it"],
    ['{"a": "x\ny"}', 'line 1, column 7: this text does not end with a double quote on its line, or has a wrong "\\" in it'],
    ['{"a": 1, "a": 2}', 'line 1, column 10: the key "a" is there twice: remove one'],
    ['{"__proto__": {}}', 'line 1, column 2: the key "__proto__" is not allowed'],
    ["[".repeat(200), "line 1, column 102: nested deeper than 100 levels"],
  ])("%j", (text, problem) => {
    expect(readJsonText(text)).toEqual({ kind: "problem", problem });
  });
});

test("a byte order mark is skipped", () => {
  expect(readJsonText('\uFEFF{"a": 1}')).toEqual({ kind: "value", value: { a: 1 } });
});

test("reads what JSON.parse reads, and refuses what it refuses", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(), fc.string({ maxLength: 2 }), (value, at, noise) => {
      const whole = JSON.stringify(value, undefined, 1);
      if (!whole.includes("__proto__")) expect(readJsonText(whole)).toEqual({ kind: "value", value: JSON.parse(whole) });
      const cut = at % (whole.length + 1);
      const text = whole.slice(0, cut) + noise + whole.slice(cut + 1);
      if (readJsonText(text).kind === "value") expect(() => JSON.parse(text)).not.toThrow();
      else expect(isRefused(text)).toBe(true);
    }),
  );
});

/** JSON.parse refuses it, or it has one of the two things that only we refuse. */
function isRefused(text: string): boolean {
  try {
    JSON.parse(text);
    return /twice|__proto__/.test(JSON.stringify(readJsonText(text)));
  } catch {
    return true;
  }
}
