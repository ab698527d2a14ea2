import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ScriptedAuthorizationServer, type ScriptedHandler, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { accessToken, adapterFor, refreshToken } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

const json =
  (code: number, body: unknown): ScriptedHandler =>
  (_request, response) =>
    sendJson(response, code, body);
const status =
  (code: number, headers: Record<string, string> = {}): ScriptedHandler =>
  (_request, response) =>
    sendText(response, code, "", headers);
const reset: ScriptedHandler = (_request, response) => response.socket?.destroy();

describe("introspection (RFC 7662)", () => {
  const introspect = () => adapterFor(server).introspect("main", refreshToken("rt-1"));

  it("is a POST with the client's authentication and a hint", async () => {
    server.on("/introspect", json(200, { active: true, exp: 1_700_000_000 }));
    expect(await introspect()).toEqual({ kind: "active", expiresAt: 1_700_000_000_000 });
    const [request] = server.to("/introspect");
    expect(Object.fromEntries(request?.form ?? [])).toEqual({ token: "rt-1", token_type_hint: "refresh_token" });
    expect(request?.headers.authorization).toMatch(/^Basic /);
  });

  it.each([
    ["inactive, which a server also says to a client it denies (F46)", json(200, { active: false }), "inactive"],
    ["active without an expiry", json(200, { active: true }), "active"],
    ["401", status(401), "unsupported"],
    ["403", status(403), "unsupported"],
    ["404", status(404), "unsupported"],
    ["400", json(400, { error: "invalid_client" }), "unsupported"],
    ["429", status(429), "unavailable"],
    ["500", status(500), "unavailable"],
    ["502", status(502), "unavailable"],
    ["a redirect", status(302, { location: "/" }), "unavailable"],
    ["200 with HTML", (_request, response) => sendText(response, 200, "<html>"), "unavailable"],
    ["200 with active as a string", json(200, { active: "true" }), "unavailable"],
    ["a closed connection", reset, "unavailable"],
  ] as [string, ScriptedHandler, string][])("answers %s", async (_name, handler, kind) => {
    server.on("/introspect", handler);
    expect((await introspect()).kind).toBe(kind);
  });

  it("is unsupported without an endpoint, and unavailable without discovery", async () => {
    server.document = { introspection_endpoint: undefined };
    expect((await introspect()).kind).toBe("unsupported");
    server.on("/.well-known/openid-configuration", status(503));
    expect((await introspect()).kind).toBe("unavailable");
  });
});

describe("revocation (RFC 7009)", () => {
  const revoke = () => adapterFor(server).revoke("main", { kind: "refresh_token", token: refreshToken("rt-1") });

  it("is a POST with the client's authentication and a hint", async () => {
    server.on("/revoke", status(200));
    expect(await adapterFor(server).revoke("main", { kind: "access_token", token: accessToken("at-1") })).toEqual({ kind: "revoked" });
    const [request] = server.to("/revoke");
    expect(Object.fromEntries(request?.form ?? [])).toEqual({ token: "at-1", token_type_hint: "access_token" });
    expect(request?.headers.authorization).toMatch(/^Basic /);
  });

  it.each([
    ["204", status(204), "revoked"],
    ["an empty 400: the token is not known any more (F45)", status(400), "revoked"],
    ["400 invalid_token (F45)", json(400, { error: "invalid_token" }), "revoked"],
    ["400 invalid_grant (F45)", json(400, { error: "invalid_grant" }), "revoked"],
    ["400 unsupported_token_type", json(400, { error: "unsupported_token_type" }), "unsupported"],
    ["400 of another code, where the token may live", json(400, { error: "invalid_request" }), "unsupported"],
    ["403", status(403), "unsupported"],
    ["405", status(405), "unsupported"],
    ["invalid_client, which can be repaired", json(400, { error: "invalid_client" }), "unavailable"],
    ["401", status(401), "unavailable"],
    ["404", status(404), "unavailable"],
    ["502", status(502), "unavailable"],
    ["a redirect", status(302, { location: "/" }), "unavailable"],
    ["a closed connection", reset, "unavailable"],
  ])("answers %s", async (_name, handler, kind) => {
    server.on("/revoke", handler);
    expect((await revoke()).kind).toBe(kind);
  });

  it.each([429, 503])("waits as long as a %d says (F21)", async (code) => {
    server.on("/revoke", status(code, { "retry-after": "9" }));
    expect(await revoke()).toMatchObject({ kind: "unavailable", retryAfterSeconds: 9 });
  });

  it("is unsupported without an endpoint (F21, F45), and unavailable without discovery", async () => {
    server.document = { revocation_endpoint: undefined };
    expect((await revoke()).kind).toBe("unsupported");
    server.on("/.well-known/openid-configuration", status(503, { "retry-after": "7" }));
    expect(await revoke()).toMatchObject({ kind: "unavailable", retryAfterSeconds: 7 });
  });

  it("keeps the token out of the cause (B10)", async () => {
    server.on("/revoke", json(500, { error: "rt-1", error_description: "rt-1" }));
    const outcome = await revoke();
    if (outcome.kind !== "unavailable" || !(outcome.cause instanceof Error)) throw new Error(outcome.kind);
    expect(`${outcome.cause.stack} ${JSON.stringify(outcome.cause)}`).not.toContain("canary");
  });
});
