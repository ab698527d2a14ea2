import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { ScriptedAuthorizationServer, type ScriptedHandler, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, HeldClock, refreshRequest, refreshToken, settingsFor, tokenBody } from "./fixtures.ts";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

async function outcomeOf(handler: ScriptedHandler): Promise<RefreshOutcome> {
  server.requests.length = 0;
  server.on("/token", handler);
  const outcome = await adapterFor(server).refresh(refreshRequest());
  expect(server.to("/token")).toHaveLength(1);
  return outcome;
}

const error =
  (status: number, code: string): ScriptedHandler =>
  (_request, response) =>
    sendJson(response, status, { error: code });
const status = (code: number, body = "", headers: Record<string, string> = {}): ScriptedHandler => {
  return (_request, response) => sendText(response, code, body, headers);
};

describe("the request", () => {
  it("is one POST with the refresh token, the target and the client's authentication (RFC 6749, section 6)", async () => {
    server.onToken(tokenBody);
    await adapterFor(server).refresh(refreshRequest({ target: { resource: "https://api.example", scopes: ["read", "write"] } }));
    const [request] = server.to("/token");
    expect(request?.method).toBe("POST");
    expect(Object.fromEntries(request?.form ?? [])).toEqual({
      grant_type: "refresh_token",
      refresh_token: "rt-1",
      resource: "https://api.example",
      scope: "read write",
    });
    expect(request?.headers.authorization).toBe(`Basic ${btoa("client-1:canary-client-secret")}`);
  });

  it("names the login's resource again when the target names none (RFC 8707, section 2.2)", async () => {
    server.onToken(tokenBody);
    await adapterFor(server, { resource: "https://api.example" }).refresh(refreshRequest());
    expect(server.to("/token")[0]?.form.get("resource")).toBe("https://api.example");
    expect(server.to("/token")[0]?.form.has("scope")).toBe(false);
  });

  it.each([
    {
      name: "post by setting",
      changes: { clientAuthentication: "client_secret_post" as const },
      document: {},
      form: "canary-client-secret",
    },
    {
      name: "post when discovery has nothing else",
      changes: {},
      document: { token_endpoint_auth_methods_supported: ["client_secret_post", "private_key_jwt"] },
      form: "canary-client-secret",
    },
    { name: "none without a secret", changes: { clientSecret: undefined }, document: {}, form: null },
  ])("authenticates by $name", async ({ changes, document, form }) => {
    server.document = document;
    server.onToken(tokenBody);
    await adapterFor(server, changes).refresh(refreshRequest());
    const [request] = server.to("/token");
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.form.get("client_id")).toBe("client-1");
    expect(request?.form.get("client_secret")).toBe(form);
  });

  it("prefers basic when discovery offers both", async () => {
    server.document = { token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"] };
    server.onToken(tokenBody);
    await adapterFor(server).refresh(refreshRequest());
    expect(server.to("/token")[0]?.headers.authorization).toMatch(/^Basic /);
  });

  it("goes out on a connection of its own each time, never on one that was kept alive (I1)", async () => {
    server.onToken(tokenBody);
    const adapter = adapterFor(server);
    await adapter.refresh(refreshRequest());
    await adapter.refresh(refreshRequest());
    const ports = server.requests.map((request) => request.remotePort);
    expect(new Set(ports).size).toBe(ports.length);
    expect(server.to("/token").every((request) => request.headers.connection === "close")).toBe(true);
  });
});

describe("a reply", () => {
  it("is given back exactly as it came, before anything is checked (I4)", async () => {
    const body = `{ "access_token":"at-2", "token_type":"odd", "expires_in":"never", "refresh_token":"rt-2", "id_token":"broken" }`;
    const before = Date.now();
    const outcome = await outcomeOf((_request, response) => sendText(response, 200, body, { "content-type": "text/html" }));
    if (outcome.kind !== "rotated") throw new Error(outcome.kind);
    expect(outcome.reply.body).toBe(body);
    expect(outcome.reply.sentAt).toBeGreaterThanOrEqual(before);
    expect(outcome.reply.receivedAt).toBeGreaterThanOrEqual(outcome.reply.sentAt);
  });
});

describe("an answer that says what it is (core table of failures)", () => {
  it.each([
    ["invalid_grant with 400: the grant is dead (F14)", error(400, "invalid_grant"), "grant_dead"],
    ["invalid_grant with 401", error(401, "invalid_grant"), "grant_dead"],
    ["invalid_grant with 200, as some servers do", error(200, "invalid_grant"), "grant_dead"],
    [
      "invalid_grant only in a Bearer challenge (F43)",
      status(400, "", { "www-authenticate": 'Bearer realm="x", error="invalid_grant"' }),
      "grant_dead",
    ],
    [
      "invalid_grant only in a challenge of a scheme nobody knows (F43)",
      status(401, "", { "www-authenticate": "Acme error=invalid_grant" }),
      "grant_dead",
    ],
    ["a code of no standard that speaks of this refresh token alone", error(400, "refresh_token_expired"), "grant_dead"],
    ["expired_token, in the body", error(401, "expired_token"), "grant_dead"],
    ["expired_token in a gateway's challenge alone", status(401, "", { "www-authenticate": 'Bearer error="expired_token"' }), "refused"],
    ["invalid_token in the body, which gateways say of their own tokens", error(401, "invalid_token"), "refused"],
    ["500 that speaks of an expired token (I10)", error(500, "token_expired"), "server_error"],
    ["invalid_client with 401 (F16)", error(401, "invalid_client"), "client_broken"],
    ["invalid_client with 400 (F16)", error(400, "invalid_client"), "client_broken"],
    ["unauthorized_client with 400 (F16)", error(400, "unauthorized_client"), "client_broken"],
    [
      "invalid_client only in a challenge (F16, F43)",
      status(401, "", { "www-authenticate": 'Basic realm="x", error="invalid_client"' }),
      "client_broken",
    ],
    ["401 with a bare challenge (F16)", status(401, "", { "www-authenticate": 'Basic realm="tokens"' }), "client_broken"],
    ["an empty 401 without a challenge, which may be about this token alone", status(401), "refused"],
    ["an empty 400 (F42)", status(400), "refused"],
    ["an early refresh refused with 400 (F17)", error(400, "invalid_request"), "refused"],
    ["403 of a firewall, in HTML", status(403, "<html>no</html>", { "content-type": "text/html" }), "refused"],
    ["404", status(404), "refused"],
    ["429 (F12)", status(429), "refused"],
    ["invalid_token of a gateway's challenge", status(401, "", { "www-authenticate": 'Bearer error="invalid_token"' }), "refused"],
    ["temporarily_unavailable with 400", error(400, "temporarily_unavailable"), "server_error"],
    ["500", status(500), "server_error"],
    ["503 with HTML (F12)", status(503, "<html>down</html>"), "server_error"],
    ["501", status(501), "server_error"],
    ["500 that speaks of invalid_grant: no 5xx ends a login (I10)", error(500, "invalid_grant"), "server_error"],
    ["a redirect to a maintenance page", status(302, "", { location: "/maintenance" }), "server_error"],
    ["502 (F13)", status(502), "ambiguous"],
    ["504 (F13)", status(504), "ambiguous"],
    ["408 (F13)", status(408), "ambiguous"],
    ["504 with a JSON error code", error(504, "invalid_grant"), "ambiguous"],
    ["524 of a CDN", status(524), "ambiguous"],
    ["200 with HTML (F13)", status(200, "<html>sign in</html>", { "content-type": "text/html" }), "ambiguous"],
    ["200 with half a JSON document (F13)", status(200, '{"access_token":"at-2","refresh_'), "ambiguous"],
    ["200 with JSON that is no token reply", status(200, '{"ok":true}'), "ambiguous"],
    ["200 with an empty access token", status(200, '{"access_token":""}'), "ambiguous"],
    ["204", status(204), "ambiguous"],
  ])("%s", async (_name, handler, kind) => {
    expect((await outcomeOf(handler)).kind).toBe(kind);
  });

  it("does not take an error code out of a quoted description (F43)", async () => {
    const challenge = 'Basic realm="say error=invalid_grant, or error=\\"invalid_grant\\"", charset="UTF-8"';
    expect((await outcomeOf(status(400, "", { "www-authenticate": challenge }))).kind).toBe("refused");
  });

  it("never goes by message text", async () => {
    const outcome = await outcomeOf((_request, response) =>
      sendJson(response, 400, { error: "invalid_request", error_description: "invalid_grant: the refresh token expired" }),
    );
    expect(outcome).toMatchObject({ kind: "refused", errorCode: "invalid_request" });
  });

  it("takes the codes of the settings for a dead grant, wherever they stand, and no others (core.md, section 7)", async () => {
    const answers: readonly (readonly [ScriptedHandler, RefreshOutcome["kind"]])[] = [
      [error(401, "session_gone"), "grant_dead"],
      [status(401, "", { "www-authenticate": 'Bearer error="session_gone"' }), "grant_dead"],
      [error(400, "session_gone_yet"), "refused"],
      [error(500, "session_gone"), "server_error"],
      [error(400, "invalid_grant"), "grant_dead"],
    ];
    for (const [handler, kind] of answers) {
      server.on("/token", handler);
      expect((await adapterFor(server, { deadGrantCodes: ["session_gone"] }).refresh(refreshRequest())).kind).toBe(kind);
    }
    expect((await outcomeOf(error(401, "session_gone"))).kind).toBe("refused");
  });

  it("tells which code refused, so that a scope that is not granted can be told apart", async () => {
    expect(await outcomeOf(error(400, "invalid_scope"))).toMatchObject({ kind: "refused", errorCode: "invalid_scope" });
    expect(await outcomeOf(error(400, "invalid_target"))).toMatchObject({ kind: "refused", errorCode: "invalid_target" });
  });

  it("does not hand on a code that is none", async () => {
    const outcome = await outcomeOf(error(400, "your token rt-1 is bad"));
    expect(outcome.kind).toBe("refused");
    expect(JSON.stringify(outcome)).not.toContain("rt-1");
  });
});

describe("Retry-After (F12)", () => {
  it.each([429, 503])("of %d is understood in seconds", async (code) => {
    expect(await outcomeOf(status(code, "", { "retry-after": "17" }))).toMatchObject({ retryAfterSeconds: 17 });
  });

  it.each([429, 503])("of %d is understood as a date, by the server's own clock", async (code) => {
    const headers = { date: "Tue, 01 Nov 2022 10:00:00 GMT", "retry-after": "Tue, 01 Nov 2022 10:00:45 GMT" };
    expect(await outcomeOf(status(code, "", headers))).toMatchObject({ retryAfterSeconds: 45 });
  });

  it.each([
    ["0", 1],
    ["86400", 3600],
    ["99999999999999999999", 3600],
    ["Tue, 01 Nov 2022 10:00:45 GMT", 1],
    ["soon", undefined],
    ["1.5", undefined],
    ["-5", undefined],
  ])("of %s is kept within sane bounds", async (value, seconds) => {
    expect(await outcomeOf(status(429, "", { "retry-after": value }))).toMatchObject({ kind: "refused", retryAfterSeconds: seconds });
  });
});

describe("a connection that breaks", () => {
  it("is not sent when it is refused (F6, I10)", async () => {
    const adapter = adapterFor(server);
    server.onToken(tokenBody);
    await adapter.refresh(refreshRequest());
    await server.close();
    const outcome = await adapter.refresh(refreshRequest());
    expect(outcome).toMatchObject({ kind: "not_sent", cause: { code: "refused" } });
    server = await ScriptedAuthorizationServer.start();
  });

  it("is not sent when the name does not resolve (F6)", async () => {
    // A label of 64 characters: the resolver refuses it by itself, without the network.
    server.document = { token_endpoint: `https://${"x".repeat(64)}.invalid/token` };
    expect(await adapterFor(server).refresh(refreshRequest())).toMatchObject({ kind: "not_sent", cause: { code: "dns" } });
  });

  it("is not sent when TLS fails, and the other side has seen no byte of the request", async () => {
    const seen: Buffer[] = [];
    const notTls = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        seen.push(data);
        socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      });
    });
    await new Promise<void>((resolve) => notTls.listen(0, "127.0.0.1", resolve));
    const address = notTls.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    server.document = { token_endpoint: `https://127.0.0.1:${address.port}/token` };
    expect(await adapterFor(server).refresh(refreshRequest())).toMatchObject({ kind: "not_sent", cause: { code: "tls" } });
    expect(Buffer.concat(seen).includes("rt-1")).toBe(false);
    await new Promise((resolve) => notTls.close(resolve));
  });

  it("is ambiguous when it is reset after the request was written, and nothing is sent again (F4, F13)", async () => {
    expect(await outcomeOf((_request, response) => response.socket?.resetAndDestroy())).toMatchObject({
      kind: "ambiguous",
      cause: { code: "closed" },
    });
  });

  it("is ambiguous when it is closed without an answer (F4)", async () => {
    expect(await outcomeOf((_request, response) => response.socket?.end())).toMatchObject({ kind: "ambiguous", cause: { code: "closed" } });
  });

  it("is ambiguous when a 200 is cut off, whatever had come (F13)", async () => {
    const whole = JSON.stringify(tokenBody);
    const outcome = await outcomeOf((_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": String(whole.length + 1) });
      response.write(whole, () => response.socket?.destroy());
    });
    expect(outcome).toMatchObject({ kind: "ambiguous" });
  });

  it("is decided by the status line when only the body of an error is cut off", async () => {
    const outcome = await outcomeOf((_request, response) => {
      response.writeHead(503, { "content-length": "1000", "retry-after": "9" });
      response.write("half", () => response.socket?.destroy());
    });
    expect(outcome).toMatchObject({ kind: "server_error", retryAfterSeconds: 9 });
  });

  it("is ambiguous when what comes back is not HTTP", async () => {
    expect(await outcomeOf((_request, response) => response.socket?.end("nonsense\r\n\r\n"))).toMatchObject({
      kind: "ambiguous",
      cause: { code: "not_http" },
    });
  });

  it("is ambiguous when a 200 is longer than a megabyte", async () => {
    expect(await outcomeOf(status(200, JSON.stringify({ ...tokenBody, padding: "x".repeat(1024 * 1024) })))).toMatchObject({
      kind: "ambiguous",
      cause: { code: "too_large" },
    });
  });

  it("is ambiguous when the time is over and the request was written", async () => {
    const clock = new HeldClock();
    server.on("/token", () => {});
    const outcome = adapterFor(server, {}, clock).refresh(refreshRequest());
    await server.arrival("/token");
    clock.fire();
    expect(await outcome).toMatchObject({ kind: "ambiguous", cause: { code: "timeout" } });
    expect(clock.waiting).toBe(0);
  });

  it("is not sent when the time is over and the connection does not stand yet", async () => {
    const clock = new HeldClock();
    const silent = createServer((socket) => socket.on("error", () => {}));
    const connected = new Promise<void>((resolve) => silent.once("connection", () => resolve()));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    // TCP stands, TLS never does.
    server.document = { token_endpoint: `https://127.0.0.1:${address.port}/token` };
    const outcome = adapterFor(server, {}, clock).refresh(refreshRequest());
    await connected;
    clock.fire();
    expect(await outcome).toMatchObject({ kind: "not_sent", cause: { code: "connect_timeout" } });
    silent.close();
  });

  it("is not sent when discovery takes all the time", async () => {
    const clock = new HeldClock();
    server.on("/.well-known/openid-configuration", () => {});
    const outcome = adapterFor(server, {}, clock).refresh(refreshRequest());
    await server.arrival("/.well-known/openid-configuration");
    clock.fire();
    expect(await outcome).toMatchObject({ kind: "not_sent" });
    expect(server.to("/token")).toHaveLength(0);
  });
});

describe("what cannot be asked", () => {
  it("is not sent when discovery fails", async () => {
    await server.close();
    const outcome = await adapterFor(server).refresh(refreshRequest());
    expect(outcome).toMatchObject({ kind: "not_sent", cause: { code: "authorization_server_unavailable" } });
    server = await ScriptedAuthorizationServer.start();
  });

  it("is a server error when the discovery document is answered with 503: the server can be reached (F12, S6)", async () => {
    server.on("/.well-known/openid-configuration", status(503, "", { "retry-after": "7" }));
    expect(await adapterFor(server).refresh(refreshRequest())).toMatchObject({ kind: "server_error", retryAfterSeconds: 7 });
    expect(server.to("/token")).toHaveLength(0);
  });

  it("is not sent when there is no token endpoint", async () => {
    server.document = { token_endpoint: undefined };
    const outcome = await adapterFor(server).refresh(refreshRequest());
    if (outcome.kind !== "not_sent" || !(outcome.cause instanceof Error)) throw new Error(outcome.kind);
    expect(outcome.cause.message).toContain("token_endpoint; set authorizationServers.main.endpoints.token");
  });

  it("is not sent when the authorization server is not configured any more", async () => {
    expect(await adapterFor(server).refresh(refreshRequest({ authorizationServer: "gone" }))).toMatchObject({ kind: "not_sent" });
  });

  it("keeps every secret out of the causes (B10)", async () => {
    const settings = settingsFor(server);
    const handlers = [
      error(400, "invalid_grant"),
      status(200, "rt-canary at-canary"),
      status(503, "rt-canary"),
      (_request, response) => response.socket?.resetAndDestroy(),
    ] satisfies ScriptedHandler[];
    for (const handler of handlers) {
      server.on("/token", handler);
      const outcome = await adapterFor(server).refresh(refreshRequest({ refreshToken: refreshToken("rt-canary") }));
      if (!("cause" in outcome) || !(outcome.cause instanceof Error)) throw new Error(outcome.kind);
      const all = JSON.stringify([outcome, outcome.cause.message, outcome.cause.stack, outcome.cause.cause, { ...outcome.cause }]);
      expect(all).not.toContain("canary");
      expect(all).not.toContain(settings.clientSecret);
    }
  });
});
