import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { CompactEncrypt, compactDecrypt } from "jose";
import { describe, expect, test } from "vitest";
import { type CompactJwe, decryptCompact, encryptCompact, type JweHeader, parseCompact } from "../../src/store/compact-jwe.ts";
import { KeyRing } from "../../src/store/key-ring.ts";
import { type SealContext, Sealer } from "../../src/store/sealer.ts";

const key = new Uint8Array(randomBytes(32));
const header: JweHeader = { alg: "dir", enc: "A256GCM", kid: "k1", ctx: ["login_session", "a", 1, 2] };
const sealed = encryptCompact(header, "Grüße, 世界", key);

function parsed(compact: string): CompactJwe {
  const jwe = parseCompact(compact);
  if (jwe === undefined) throw new Error("It is no JWE.");
  return jwe;
}

describe("a sealed text is a JWE as any library knows it (RFC 7516)", () => {
  test("jose reads what is written here, whatever the text (B10)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (text) => {
        const { plaintext, protectedHeader } = await compactDecrypt(encryptCompact(header, text, key), key);
        expect(new TextDecoder().decode(plaintext)).toBe(text.toWellFormed());
        expect(protectedHeader).toEqual(header);
      }),
      { numRuns: 50 },
    );
  });

  test("what jose wrote is read here, as files of earlier versions hold it (F38)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
        const compact = await new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader(header).encrypt(key);
        const jwe = parsed(compact);
        expect(jwe.header).toEqual(header);
        expect(decryptCompact(jwe, key)).toBe(text);
      }),
      { numRuns: 50 },
    );
  });

  test("two texts never have the same IV", () => {
    const ivs = Array.from({ length: 1_000 }, () => encryptCompact(header, "", key).split(".")[2]);
    expect(new Set(ivs).size).toBe(1_000);
  });
});

describe("a sealed text that was changed is refused (B10)", () => {
  test("in any one character, other than by a text that is no JWE", () => {
    for (let at = 0; at < sealed.length; at++) {
      for (const other of ["A", "B", "=", ".", "+", " "]) {
        if (sealed[at] === other) continue;
        const jwe = parseCompact(sealed.slice(0, at) + other + sealed.slice(at + 1));
        if (jwe !== undefined) expect(() => decryptCompact(jwe, key), `${other} at ${at}`).toThrow();
      }
    }
  });

  test("by another key", () => {
    expect(() => decryptCompact(parsed(sealed), randomBytes(32))).toThrow();
  });

  const [encodedHeader = "", , iv = "", ciphertext = "", tag = ""] = sealed.split(".");
  const withHeader = (other: object): string => `${Buffer.from(JSON.stringify(other)).toString("base64url")}..${iv}.${ciphertext}.${tag}`;
  test.each([
    ["nothing", ""],
    ["four parts", `${encodedHeader}..${iv}.${ciphertext}`],
    ["six parts", `${sealed}.`],
    ["an encrypted key", `${encodedHeader}.AAAA.${iv}.${ciphertext}.${tag}`],
    ["a short tag", `${encodedHeader}..${iv}.${ciphertext}.${Buffer.from(tag, "base64url").subarray(0, 4).toString("base64url")}`],
    ["an IV of 16 bytes", `${encodedHeader}..${randomBytes(16).toString("base64url")}.${ciphertext}.${tag}`],
    ["padding", `${sealed}==`],
    ["a header that is no JSON", `${Buffer.from("{").toString("base64url")}..${iv}.${ciphertext}.${tag}`],
    ["a header that is null", `${Buffer.from("null").toString("base64url")}..${iv}.${ciphertext}.${tag}`],
    ["no key id", withHeader({ alg: "dir", enc: "A256GCM" })],
    ["a key id that is no text", withHeader({ ...header, kid: 1 })],
    ["another alg", withHeader({ ...header, alg: "A256KW" })],
    ["another enc", withHeader({ ...header, enc: "A128GCM" })],
    ["compression", withHeader({ ...header, zip: "DEF" })],
    ["a critical extension", withHeader({ ...header, crit: ["exp"], exp: 1 })],
  ])("%s is no sealed text", (_name, compact) => {
    expect(parseCompact(compact)).toBeUndefined();
  });
});

describe("the sealer keeps derived keys", () => {
  const context: SealContext = { kind: "login_session", id: "a", generation: 1, version: 1 };

  test("and a key of the same name with another secret is another key (B14, F38)", async () => {
    let keys: readonly [{ readonly id: string; readonly secret: string }] = [{ id: "k", secret: "a".repeat(32) }];
    const sealer = new Sealer(new KeyRing(keys, () => keys));
    const before = await sealer.seal(context, "first");
    keys = [{ id: "k", secret: "b".repeat(32) }];
    const after = await sealer.seal(context, "second");
    expect(await sealer.unseal(context, before)).toMatchObject({ kind: "unreadable" });
    expect(await sealer.unseal(context, after)).toEqual({ kind: "text", text: "second" });
  });

  test("and forgets them without harm when there are too many", async () => {
    const ring = new KeyRing([{ id: "k", secret: "a".repeat(32) }]);
    const first = ring.derive("k", "record 0");
    for (let record = 1; record <= 10_001; record++) ring.derive("k", `record ${record}`);
    expect(ring.derive("k", "record 0")).toEqual(first);
    expect(ring.derive("k", "record 1")).not.toEqual(first);
  });
});
