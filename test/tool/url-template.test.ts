import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { parseUrlTemplate, type UrlTemplate } from "../../src/tool/url-template.ts";

function template(text: string): UrlTemplate {
  const parsed = parseUrlTemplate(text);
  if (parsed.kind === "problems") throw new Error(parsed.problems.join("; "));
  return parsed.template;
}

describe("parseUrlTemplate", () => {
  it("fills each placeholder with its percent-encoded value", () => {
    expect(template("/notes/{id}").expand({ id: "a b&c?d#e%é" })).toBe("/notes/a%20b%26c%3Fd%23e%25%C3%A9");
    expect(template("/u/{user}/n-{id}.json").expand({ user: "alice", id: 7 })).toBe("/u/alice/n-7.json");
    expect(template("/flags/{on}/").expand({ on: false })).toBe("/flags/false/");
    expect(template("/group%2Fproject/{id}").expand({ id: 1 })).toBe("/group%2Fproject/1");
  });

  it.each(["../x", "a/b", "a\\b", ".", "..", "%2e%2e", "%2E.", "%252e%252e", "a%2fb", "a%255cb", "..;x", "a\u0000b", "a\r\nb", "\ud800"])(
    "refuses the value %j, which could mean another segment",
    (id) => {
      expect(() => template("/notes/{id}").expand({ id })).toThrow(
        expect.objectContaining({ code: "invalid_request", message: expect.stringContaining('"id"') }),
      );
    },
  );

  it.each([undefined, null, "", {}, [], ["a"], Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses %j, which is no value of a segment",
    (id) => {
      expect(() => template("/notes/{id}").expand({ id })).toThrow(expect.objectContaining({ code: "invalid_request" }));
    },
  );

  it("takes no value from the prototype of the arguments", () => {
    expect(() => template("/notes/{constructor}").expand({})).toThrow(LatchkeyError);
  });

  it("refuses values that are harmless alone and a step upwards or a slash together", () => {
    expect(() => template("/x/{a}{b}").expand({ a: "%2", b: "eadmin" })).not.toThrow();
    expect(() => template("/x/{a}{b}").expand({ a: "%2", b: "fadmin" })).toThrow(LatchkeyError);
    expect(() => template("/x/.{a}").expand({ a: "%2" })).not.toThrow();
    expect(() => template("/x/{a}{b}{c}").expand({ a: "%2", b: "e", c: "%2e" })).toThrow(LatchkeyError);
  });

  it("tells all problems of a template at once", () => {
    expect(parseUrlTemplate("notes/{}/{1d}//{id/a b/../%2e%2E/x?y={z}")).toEqual({
      kind: "problems",
      problems: [
        "must begin with a slash",
        "must have neither query nor fragment; list query parameters in query",
        "has a placeholder without a proper name: {}",
        "has a placeholder without a proper name: {1d}",
        'has characters that a path cannot have: "{id"',
        'has characters that a path cannot have: "a b"',
        'must not contain the segment ".."',
        'must not contain the segment "%2e%2E"',
        "must not have an empty segment",
      ],
    });
  });

  it("never lets a value change the number of segments, their literals or the origin, however often it is decoded", () => {
    const nasty = fc
      .array(
        fc.constantFrom(
          ".",
          "..",
          "/",
          "\\",
          "%",
          "%2",
          "2e",
          "%2e",
          "%2f",
          "%5c",
          "%25",
          "e",
          "f",
          ";",
          "?",
          "#",
          "@",
          ":",
          "\n",
          "\t",
          " ",
          "é",
        ),
        {
          maxLength: 6,
        },
      )
      .map((pieces) => pieces.join(""));
    const value = fc.oneof(nasty, fc.string({ unit: "binary" }), fc.double(), fc.boolean());
    const subject = template("/v1/notes/{a}/parts/{b}{c}/end");
    let accepted = 0;
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        let path: string;
        try {
          path = subject.expand({ a, b, c });
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid_request" });
          return;
        }
        accepted += 1;
        const url = new URL(path, "https://api.example");
        expect(url.origin).toBe("https://api.example");
        expect(url.pathname).toBe(path);
        expect(url.search + url.hash).toBe("");
        for (let decoded = path, last = ""; decoded !== last; ) {
          last = decoded;
          const segments = decoded.split(/[/\\]/);
          expect(segments).toHaveLength(7);
          expect([segments[1], segments[2], segments[4], segments[6]]).toEqual(["v1", "notes", "parts", "end"]);
          expect(segments.filter((segment) => segment === "." || segment === "..")).toEqual([]);
          decoded = decoded.replace(/%[0-7][0-9a-f]/gi, (encoded) => String.fromCharCode(Number.parseInt(encoded.slice(1), 16)));
        }
      }),
      { numRuns: 3_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
