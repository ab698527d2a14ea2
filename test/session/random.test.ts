import { describe, expect, it } from "vitest";
import type { RefreshToken } from "../../src/session/login-session.ts";
import {
  hashBrowserCookie,
  hashConnectionKey,
  newAttemptId,
  newConnectionKey,
  newHandle,
  newLoginSessionId,
  randomSecret,
  refreshTokenHasher,
} from "../../src/session/random.ts";

describe("random names", () => {
  it.each([
    ["a secret, 256 bits", randomSecret, /^[A-Za-z0-9_-]{43}$/],
    ["the id of a login session, 160 bits", newLoginSessionId, /^[A-Za-z0-9_-]{27}$/],
    ["the id of an attempt, 128 bits", newAttemptId, /^[A-Za-z0-9_-]{22}$/],
    ["the handle of a login session, which fits into any path", newHandle, /^ls_[0-9a-f]{24}$/],
    ["a connection key, which one knows at sight", newConnectionKey, /^lk_[A-Za-z0-9_-]{43}$/],
  ])("%s: never the same twice (B6)", (_name, make, form) => {
    const made = Array.from({ length: 200 }, () => make());
    for (const each of made) expect(each).toMatch(form);
    expect(new Set(made).size).toBe(200);
  });
});

describe("hashes", () => {
  // The test vector "abc" of FIPS 180-2.
  const ofAbc = Buffer.from("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "hex").toString("base64url");

  it("of connection keys and cookies are SHA-256, so that stores stay readable", () => {
    expect(hashConnectionKey("abc")).toBe(ofAbc);
    expect(hashBrowserCookie("abc")).toBe(ofAbc);
  });

  it("of refresh tokens are HMAC-SHA-256: without the key nobody finds a token by its hash", () => {
    // Test case 2 of RFC 4231.
    const expected = Buffer.from("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "hex").toString("base64url");
    const token = "what do ya want for nothing?" as RefreshToken;
    expect(refreshTokenHasher(Buffer.from("Jefe"))(token)).toBe(expected);
    expect(refreshTokenHasher(Buffer.from("another"))(token)).not.toBe(expected);
  });
});
