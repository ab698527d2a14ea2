import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redactedToken, TokenRedaction } from "../../src/tool/token-redaction.ts";

function redact(token: string, chunks: readonly string[]): string {
  const redaction = new TokenRedaction(token);
  const out = chunks.map((chunk) => redaction.push(Buffer.from(chunk)));
  return Buffer.concat([...out, redaction.end()]).toString();
}

describe("TokenRedaction", () => {
  it("replaces an access token that chunks share, and leaves the rest alone (B10)", () => {
    expect(redact("secret-1", ["a sec", "ret-", "1 b secret-", "2"])).toBe(`a ${redactedToken} b secret-2`);
  });

  it("holds nothing back that cannot become the token, so that a stream flows", () => {
    const redaction = new TokenRedaction("secret-1");
    expect(Buffer.from(redaction.push(Buffer.from('{"progress":1}\n'))).toString()).toBe('{"progress":1}\n');
  });

  it("gives the same for every way to cut the stream", () => {
    const text = fc.array(fc.constantFrom("a", "b", "aab", "aabaab", "x"), { maxLength: 30 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, fc.array(fc.nat(40), { maxLength: 8 }), (whole, cuts) => {
        const at = [...new Set(cuts.filter((cut) => cut < whole.length))].sort((one, other) => one - other);
        const chunks = [0, ...at].map((from, index) => whole.slice(from, at[index] ?? whole.length));
        expect(redact("aabaab", chunks)).toBe(whole.replaceAll("aabaab", redactedToken));
      }),
      { numRuns: 1_000 },
    );
  });
});
