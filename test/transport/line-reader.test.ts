import fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader } from "../../src/transport/line-reader.ts";

test("gives the same lines however the bytes are cut", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => text.replaceAll(/\s/g, "_"));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (lines, cuts) => {
      const bytes = Buffer.from(lines.join("\n"));
      const reader = new LineReader(1000);
      const read: string[] = [];
      const take = (found: ReturnType<LineReader["end"]>): void => {
        for (const each of found) if (each.kind === "line") read.push(each.text);
      };
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = cuts[turn % cuts.length] ?? 1;
        take(reader.push(bytes.subarray(at, at + size)));
        at += size;
      }
      take(reader.end());
      expect(read).toEqual(lines.filter((text) => text !== ""));
    }),
  );
});

test("reports a line over the limit once, keeps nothing of it, and reads the next", () => {
  const reader = new LineReader(10);
  expect(reader.push(Buffer.from("12345"))).toEqual([]);
  expect(reader.push(Buffer.from("678901"))).toEqual([{ kind: "too_long" }]);
  expect(reader.push(Buffer.from("more and more"))).toEqual([]);
  expect(reader.push(Buffer.from("end\n1234567890\n"))).toEqual([{ kind: "line", text: "1234567890" }]);
});
