import { UnsecuredJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { newSigningKey, ScriptedAuthorizationServer, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const signed = (claims: Record<string, unknown> = {}) => server.idToken({ jti: "jti-1", events, ...claims });
const check = async (token: string | Promise<string>) => await adapterFor(server).checkLogoutToken(await token);

async function problemsOf(token: string | Promise<string>): Promise<string> {
  const result = await check(token);
  if (result.kind !== "rejected") throw new Error(result.kind);
  return result.problems.join("\n");
}

describe("a logout token (F24, Back-Channel Logout 1.0, section 2.6)", () => {
  it("names a subject, a session, or both", async () => {
    const both = await check(signed({ sid: "sid-1" }));
    expect(both).toMatchObject({
      kind: "ok",
      token: { issuer: server.issuer, clientId: "client-1", subject: "alice", sid: "sid-1", jti: "jti-1" },
    });
    expect(await check(signed())).toMatchObject({ token: { subject: "alice", sid: undefined } });
    expect(await check(signed({ sub: undefined, sid: "sid-1" }))).toMatchObject({ token: { subject: undefined, sid: "sid-1" } });
  });

  it("ends sign-ins up to its time of issue, and is remembered until it has expired, the tolerance of clocks counted in", async () => {
    const [iat, exp] = [inSeconds(-5), inSeconds(100)];
    const result = await check(signed({ iat, exp }));
    if (result.kind !== "ok") throw new Error(result.kind);
    // The clocks of the same machine are at most a second apart, as far as a Date of whole seconds shows.
    expect(Math.abs(result.token.endsSignInsUntil - (iat + 61) * 1000)).toBeLessThanOrEqual(2_000);
    expect(Math.abs(result.token.expiresAt - (exp + 60) * 1000)).toBeLessThanOrEqual(2_000);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ["another issuer", { iss: "https://other.example" }, /not configured/],
    ["another audience", { aud: "somebody-else" }, /not for the client client-1/],
    ["no audience", { aud: undefined }, /not for the client client-1/],
    ["a nonce", { nonce: "n" }, /has a nonce/],
    ["neither sub nor sid", { sub: undefined }, /names no subject/],
    ["a sid that is no text", { sid: 7 }, /sid is not a text/],
    ["no events", { events: undefined }, /events do not name/],
    ["other events", { events: { "https://other.example/event": {} } }, /events do not name/],
    ["an event that is no object", { events: { "http://schemas.openid.net/event/backchannel-logout": true } }, /events do not name/],
    ["no jti", { jti: undefined }, /no jti/],
    ["no iat", { iat: undefined }, /no time of issue/],
    ["no exp", { exp: undefined }, /no expiry/],
    ["an exp that has passed", { iat: inSeconds(-400), exp: inSeconds(-100) }, /expired/],
    ["an iat to come", { iat: inSeconds(300), exp: inSeconds(400) }, /in the future/],
  ])("with %s is refused", async (_what, claims, problem) => {
    expect(await problemsOf(signed(claims))).toMatch(problem);
  });

  it("that is unsigned, signed by a stranger, or by the client secret is refused", async () => {
    const claims = { iss: server.issuer, sub: "alice", aud: "client-1", iat: inSeconds(0), exp: inSeconds(60), jti: "j", events };
    expect(await problemsOf(new UnsecuredJWT(claims).encode())).not.toBe("");
    expect(await problemsOf(server.idToken({ jti: "j", events }, { key: await newSigningKey("ES256", server.key.kid) }))).toMatch(
      /signature is wrong/,
    );
    expect(await problemsOf(server.idToken({ jti: "j", events }, { key: await newSigningKey("ES256", "unknown") }))).toMatch(
      /does not publish/,
    );
    expect(await problemsOf("no JWT")).toMatch(/not a signed JWT/);
  });

  it("says all that is wrong with it at once, and fetches no key for it", async () => {
    expect((await problemsOf(signed({ nonce: "n", jti: undefined }))).split("\n")).toHaveLength(2);
    expect(server.to("/jwks")).toEqual([]);
  });

  it("is neither accepted nor refused while the keys cannot be had", async () => {
    server.on("/jwks", (_request, response) => sendText(response, 503, "down"));
    expect(await check(signed())).toMatchObject({ kind: "unavailable" });
  });
});
