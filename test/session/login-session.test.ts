import { describe, expect, it } from "vitest";
import { type AccessToken, type AccessTokenEntry, covers, revocationAnswer, targetKey } from "../../src/session/login-session.ts";

describe("an access token (I6)", () => {
  const entry: AccessTokenEntry = {
    target: { resource: "https://api.example", scopes: ["read"] },
    accessToken: "at" as AccessToken,
    grantedScopes: ["read", "write"],
    obtainedAt: 0,
    expiresAt: 1,
  };
  const cases = [
    { resource: "https://api.example", scopes: ["read", "write"], good: true },
    { resource: "https://api.example", scopes: [], good: false },
    { resource: "https://api.example", scopes: ["read", "admin"], good: false },
    { resource: "https://other.example", scopes: ["read"], good: false },
    { resource: undefined, scopes: ["read"], good: false },
  ];
  it.each(cases)("for $resource with $scopes: $good", ({ resource, scopes, good }) => {
    expect(covers(entry, { resource, scopes })).toBe(good);
  });

  it("for the scopes of the login covers a target that names none", () => {
    const own = { ...entry, target: { resource: "https://api.example", scopes: [] } };
    expect(covers(own, { resource: "https://api.example", scopes: [] })).toBe(true);
    expect(covers(own, { resource: "https://api.example", scopes: ["write"] })).toBe(true);
    expect(covers(own, { scopes: [] })).toBe(false);
  });
});

describe("the key of a target", () => {
  it("is the same whatever the order of the scopes, and however often one is named", () => {
    const key = targetKey({ resource: "https://api.example", scopes: ["read", "write"] });
    expect(targetKey({ resource: "https://api.example", scopes: ["write", "read", "write"] })).toBe(key);
  });

  it("is another one for another resource, for other scopes, and without either", () => {
    const keys = [
      targetKey({ scopes: [] }),
      targetKey({ scopes: ["read"] }),
      targetKey({ scopes: ["readwrite"] }),
      targetKey({ scopes: ["read", "write"] }),
      targetKey({ resource: "https://api.example", scopes: [] }),
      targetKey({ resource: "https://api.example", scopes: ["read"] }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(targetKey({ scopes: ["read"] })).toBe(" read");
  });
});

it.each([
  ["none", "done"],
  ["expired", "done"],
  ["done", "done"],
  ["pending", "pending"],
  ["shared", "shared"],
  ["unsupported", "unsupported"],
] as const)("a revocation that is %s is told as %s", (state, answer) => {
  expect(revocationAnswer(state)).toBe(answer);
});
