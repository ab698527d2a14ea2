import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ScriptedAuthorizationServer, type ScriptedHandler, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, tokenBody } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
  server.document = { device_authorization_endpoint: `${server.origin}/device` };
});
afterEach(() => server.close());

const json =
  (code: number, body: unknown): ScriptedHandler =>
  (_request, response) =>
    sendJson(response, code, body);
const codes = { device_code: "canary-device", user_code: "WDJB", verification_uri: "https://as.example/device" };

describe("the device authorization request (RFC 8628, section 3.1)", () => {
  it("is a POST with the client's authentication, the scopes and the further parameters of a login", async () => {
    server.on("/device", json(200, { ...codes, verification_uri_complete: "https://as.example/d?c=WDJB", expires_in: 90, interval: 7 }));
    const before = Date.now();
    const adapter = adapterFor(server, { resource: "https://api.example", extraAuthorizationParameters: { audience: "x" } });
    expect(await adapter.offersDeviceLogin("main")).toBe(true);
    const begun = await adapter.beginDeviceLogin("main");
    expect(begun).toMatchObject({
      deviceCode: "canary-device",
      userCode: "WDJB",
      verificationUri: "https://as.example/device",
      verificationUriComplete: "https://as.example/d?c=WDJB",
      intervalSeconds: 7,
    });
    expect(begun.expiresAt).toBeGreaterThanOrEqual(before + 90_000);
    const [request] = server.to("/device");
    expect(request?.headers.authorization).toMatch(/^Basic /);
    expect(Object.fromEntries(request?.form ?? [])).toEqual({
      client_id: "client-1",
      scope: "openid profile offline_access",
      resource: "https://api.example",
      audience: "x",
    });
  });

  it("takes the defaults of the standard, and the draft's name of the address", async () => {
    server.on("/device", json(200, { device_code: "d", user_code: "u", verification_url: "https://as.example/v", interval: "0" }));
    expect(await adapterFor(server).beginDeviceLogin("main")).toMatchObject({
      verificationUri: "https://as.example/v",
      verificationUriComplete: undefined,
      intervalSeconds: 5,
    });
  });

  it("names the setting when there is no endpoint for it", async () => {
    server.document = {};
    const adapter = adapterFor(server);
    expect(await adapter.offersDeviceLogin("main")).toBe(false);
    await expect(adapter.beginDeviceLogin("main")).rejects.toMatchObject({
      code: "authorization_server_unavailable",
      message: expect.stringContaining("authorizationServers.main.endpoints.deviceAuthorization"),
    });
  });

  it.each([
    ["an answer without codes", json(200, { device_code: "d" }), "authorization_server_unavailable"],
    ["HTML", (_request, response) => sendText(response, 200, "<html>"), "authorization_server_unavailable"],
    ["500", json(500, {}), "authorization_server_unavailable"],
    ["a client that may not", json(400, { error: "unauthorized_client" }), "login_failed"],
  ] satisfies [string, ScriptedHandler, string][])("fails on %s", async (_name, handler, code) => {
    server.on("/device", handler);
    await expect(adapterFor(server).beginDeviceLogin("main")).rejects.toMatchObject({ code });
  });
});

describe("the device access token request (RFC 8628, sections 3.4 and 3.5)", () => {
  const poll = () => adapterFor(server).pollDeviceLogin("main", "canary-device");

  it("gives a verified login once the user has signed in", async () => {
    const idToken = await server.idToken();
    server.on("/token", json(200, { ...tokenBody, id_token: idToken }));
    expect(await poll()).toMatchObject({
      kind: "signed_in",
      login: { authorizationServer: "main", principal: { issuer: server.issuer, subject: "alice" }, tokens: { refreshToken: "rt-2" } },
    });
    expect(Object.fromEntries(server.to("/token")[0]?.form ?? [])).toEqual({
      grant_type: "urn:ietf:params:oauth:grant-type:device_code",
      device_code: "canary-device",
    });
  });

  it.each([
    ["authorization_pending", "pending"],
    ["slow_down", "slow_down"],
  ])("says on %s that it goes on", async (error, kind) => {
    server.on("/token", json(400, { error }));
    expect(await poll()).toEqual({ kind });
  });

  it.each([
    ["access_denied", json(400, { error: "access_denied" }), "login_failed", "was denied"],
    ["expired_token", json(400, { error: "expired_token" }), "login_failed", "has expired"],
    ["another code", json(400, { error: "unauthorized_client" }), "login_failed", "unauthorized_client"],
    ["503", json(503, {}), "authorization_server_unavailable", "503"],
    ["a reply without an ID token", json(200, tokenBody), "login_failed", "ID token"],
  ])("ends on %s with words, and without the device code (B10)", async (_name, handler, code, words) => {
    server.on("/token", handler);
    server.on("/revoke", json(200, {}));
    const error: unknown = await poll().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(String(error)).not.toContain("canary-device");
  });
});
