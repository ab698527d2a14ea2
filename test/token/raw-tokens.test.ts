import { describe, expect, it } from "vitest";
import { tokensOf } from "../../src/token/raw-tokens.ts";

const refresh = { kind: "refresh_token", token: "rt" };
const access = { kind: "access_token", token: "at" };

describe("what can be revoked of a token reply", () => {
  it.each<[string, readonly object[]]>([
    ['{"access_token":"at","refresh_token":"rt"}', [refresh, access]],
    ['{"access_token":"at"}', [access]],
    ['{"refresh_token":"rt"}', [refresh]],
    ['{"access_token":"","refresh_token":""}', []],
    ['{"access_token":1,"refresh_token":{"a":1}}', []],
    ["{}", []],
    ["null", []],
    ['"text"', []],
    ["7", []],
    ["", []],
    ["<html>", []],
    ['{"access_token":"at"', []],
  ])("of %s", (body, tokens) => {
    expect(tokensOf(body)).toEqual(tokens);
  });
});
