import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentAudit } from "../../src/audit/audit.ts";
import { systemClock } from "../../src/clock.ts";
import { LatchkeyError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import { ScriptedAuthorizationServer, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { adapterFor, HeldClock, recordingServices, refreshToken, settingsFor } from "./fixtures.ts";

const path = "/.well-known/openid-configuration";
const redirectUri = "http://127.0.0.1:8420/login/callback";

let server: ScriptedAuthorizationServer;
beforeEach(async () => {
  server = await ScriptedAuthorizationServer.start();
});
afterEach(() => server.close());

async function failureOf(adapter: AuthorizationServers): Promise<LatchkeyError> {
  const thrown = await adapter.beginLogin("main", { redirectUri }).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof LatchkeyError)) throw new Error("no LatchkeyError");
  return thrown;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

describe("discovery", () => {
  it("asks nothing before the first use, then once for all who ask together", async () => {
    const adapter = adapterFor(server);
    expect(server.requests).toHaveLength(0);
    await Promise.all(Array.from({ length: 10 }, () => adapter.beginLogin("main", { redirectUri })));
    expect(server.to(path)).toHaveLength(1);
  });

  it("looks again after an hour in the background, and uses what it has until then", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    await adapter.beginLogin("main", { redirectUri });
    clock.offsetMs += 3_601_000;
    server.requests.length = 0;
    server.on(path, (_request, response) => sendText(response, 500, ""));
    await adapter.beginLogin("main", { redirectUri });
    await server.arrival(path);
    await adapter.beginLogin("main", { redirectUri });
  });

  it("takes new endpoints over after an endpoint was not where it said", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    await adapter.beginLogin("main", { redirectUri });
    clock.offsetMs += 31_000;
    server.document = { revocation_endpoint: `${server.origin}/new-revoke` };
    const token = { kind: "refresh_token", token: refreshToken() } as const;
    server.on("/new-revoke", (_request, response) => sendText(response, 200, ""));
    expect((await adapter.revoke("main", token)).kind).toBe("unavailable");
    expect(server.to(path)).toHaveLength(1);
    // This one still goes to the old place, and brings the new document in behind it.
    const looked = server.next(path);
    expect((await adapter.revoke("main", token)).kind).toBe("unavailable");
    await looked;
    let outcome = await adapter.revoke("main", token);
    while (outcome.kind !== "revoked") outcome = await adapter.revoke("main", token);
    expect(server.to(path)).toHaveLength(2);
  });

  it("follows redirects of the same scheme", async () => {
    server.on(path, (_request, response) => sendText(response, 302, "", { location: "/moved" }));
    server.on("/moved", (_request, response) => sendJson(response, 200, server.discoveryDocument()));
    await adapterFor(server).beginLogin("main", { redirectUri });
  });

  it.each([
    ["/loop", "redirects too often"],
    ["https://127.0.0.1:1/x", "to another scheme"],
    ["http://idp.example/x", "plain http is accepted on loopback only"],
    ["ftp://127.0.0.1/x", "must begin with https://"],
  ])("does not follow a redirect to %s", async (location, words) => {
    for (const from of [path, "/loop"]) server.on(from, (_request, response) => sendText(response, 302, "", { location }));
    expect((await failureOf(adapterFor(server))).message).toContain(words);
  });

  it("knows issuers with a path, and RFC 8414's address", async () => {
    const withPath = await ScriptedAuthorizationServer.start({ issuerPath: "/realms/main" });
    await adapterFor(withPath).beginLogin("main", { redirectUri });
    withPath.on("/realms/main/.well-known/openid-configuration", (_request, response) => sendText(response, 404, ""));
    withPath.on("/.well-known/oauth-authorization-server/realms/main", (_request, response) =>
      sendJson(response, 200, withPath.discoveryDocument()),
    );
    await adapterFor(withPath).beginLogin("main", { redirectUri });
    await withPath.close();
  });

  it.each([
    ["/.well-known/oauth-authorization-server/tenants/one", 404],
    ["/.well-known/openid-configuration/tenants/one", 400],
    ["/tenants/one/.well-known/oauth-authorization-server", 401],
  ])("finds the document of an issuer with a path at %s when the proper address answers %d", async (elsewhere, code) => {
    const tenant = await ScriptedAuthorizationServer.start({ issuerPath: "/tenants/one" });
    tenant.on("/tenants/one/.well-known/openid-configuration", (_request, response) => sendText(response, code, ""));
    tenant.on(elsewhere, (_request, response) => sendJson(response, 200, tenant.discoveryDocument()));
    await adapterFor(tenant).beginLogin("main", { redirectUri });
    await tenant.close();
  });

  it("finds it behind an application that answers every address with a page, and passes another tenant's document by", async () => {
    const tenant = await ScriptedAuthorizationServer.start({ issuerPath: "/tenants/one" });
    tenant.on("/tenants/one/.well-known/openid-configuration", (_request, response) => sendText(response, 200, "<html>"));
    tenant.on("/.well-known/oauth-authorization-server/tenants/one", (_request, response) =>
      sendJson(response, 200, { ...tenant.discoveryDocument(), issuer: tenant.origin }),
    );
    const last = "/tenants/one/.well-known/oauth-authorization-server";
    tenant.on(last, (_request, response) => sendJson(response, 200, tenant.discoveryDocument()));
    await adapterFor(tenant).beginLogin("main", { redirectUri });
    tenant.on(last, (_request, response) => sendText(response, 404, ""));
    expect((await failureOf(adapterFor(tenant))).message).toContain(`the issuer is ${tenant.origin}, but`);
    await tenant.close();
  });

  it.each([503, 429])("does not look elsewhere on %d: an outage says nothing about where the document is", async (code) => {
    const tenant = await ScriptedAuthorizationServer.start({ issuerPath: "/tenants/one" });
    tenant.on("/tenants/one/.well-known/openid-configuration", (_request, response) => sendText(response, code, ""));
    await failureOf(adapterFor(tenant));
    expect(tenant.requests).toHaveLength(1);
    await tenant.close();
  });

  it("accepts a document that lacks endpoints and grant types, and takes endpoints from the settings", async () => {
    server.document = { authorization_endpoint: undefined, token_endpoint: undefined, jwks_uri: undefined };
    const { url } = await adapterFor(server, { endpoints: { authorization: `${server.origin}/settings-authorize` } }).beginLogin("main", {
      redirectUri,
    });
    expect(new URL(url).pathname).toBe("/settings-authorize");
  });

  it("prefers an endpoint of the settings to the document's", async () => {
    const { url } = await adapterFor(server, { endpoints: { authorization: `${server.origin}/settings-authorize` } }).beginLogin("main", {
      redirectUri,
    });
    expect(new URL(url).pathname).toBe("/settings-authorize");
  });

  it("does without a document when the settings say enough", async () => {
    server.on(path, (_request, response) => sendText(response, 404, ""));
    const endpoints = { authorization: `${server.origin}/a`, token: `${server.origin}/t`, jwks: `${server.origin}/jwks` };
    const adapter = adapterFor(server, { endpoints });
    await adapter.beginLogin("main", { redirectUri });
    expect(await adapter.probe("main")).toMatchObject({ ok: true });
  });

  it("does without a document that cannot be fetched when the settings say enough, and the probe says that it cannot", async () => {
    server.on(path, (_request, response) => sendText(response, 503, ""));
    const endpoints = { authorization: `${server.origin}/a`, token: `${server.origin}/t`, jwks: `${server.origin}/jwks` };
    const adapter = adapterFor(server, { endpoints });
    await adapter.beginLogin("main", { redirectUri });
    expect(await adapter.probe("main")).toMatchObject({ ok: false });
  });

  it("does not take endpoints of the settings for an excuse when the document is another issuer's", async () => {
    server.document = { issuer: "https://other.example" };
    const endpoints = { authorization: `${server.origin}/a`, token: `${server.origin}/t`, jwks: `${server.origin}/jwks` };
    expect((await failureOf(adapterFor(server, { endpoints }))).message).toContain("https://other.example");
  });
});

describe("discovery that fails", () => {
  it("fails the call alone, with a retryable error that names the issuer, and recovers by itself (S6)", async () => {
    const port = await freePort();
    const adapter = adapterFor({ issuer: `http://127.0.0.1:${port}` });
    const failure = await failureOf(adapter);
    expect(failure).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(failure.message).toContain(`http://127.0.0.1:${port}`);
    expect(failure.message).toContain(`connection refused by 127.0.0.1:${port}`);
  });

  it("asks no more than once in a short time while it fails, and again after it", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    server.on(path, (_request, response) => sendText(response, 503, ""));
    for (let call = 0; call < 5; call += 1) await failureOf(adapter);
    expect(server.to(path)).toHaveLength(1);
    server.on(path, (_request, response) => sendJson(response, 200, server.discoveryDocument()));
    clock.offsetMs += 501;
    await adapter.beginLogin("main", { redirectUri });
  });

  it("writes one line when it begins to fail and one when it works again, not one for each try", async () => {
    const clock = new HeldClock();
    const { lines, services } = recordingServices(clock);
    const adapter = new AuthorizationServers([settingsFor(server)], services);
    server.on(path, (_request, response) => sendText(response, 503, ""));
    for (let call = 0; call < 3; call += 1) {
      await failureOf(adapter);
      clock.offsetMs += 10_000;
    }
    expect(server.to(path)).toHaveLength(3);
    server.on(path, (_request, response) => sendJson(response, 200, server.discoveryDocument()));
    await adapter.beginLogin("main", { redirectUri });
    expect(lines.map((line) => [JSON.parse(line).level, JSON.parse(line).message])).toEqual([
      ["warn", "Discovery of an authorization server failed"],
      ["info", "Discovery of an authorization server works again"],
    ]);
  });

  it.each([
    [
      "an error status",
      (server_: ScriptedAuthorizationServer) => server_.on(path, (_q, response) => sendText(response, 500, "")),
      "openid-configuration answered 500",
    ],
    [
      "HTML",
      (server_: ScriptedAuthorizationServer) =>
        server_.on(path, (_q, response) => sendText(response, 200, "<html>", { "content-type": "text/html" })),
      "not JSON (content type text/html)",
    ],
    [
      "a closed connection",
      (server_: ScriptedAuthorizationServer) => server_.on(path, (_q, response) => response.socket?.destroy()),
      "closed the connection",
    ],
    [
      "no document",
      (server_: ScriptedAuthorizationServer) => server_.on(path, (_q, response) => sendText(response, 404, "")),
      "openid-configuration answered 404",
    ],
    [
      "no issuer",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { issuer: undefined };
      },
      "names no issuer",
    ],
    [
      "another issuer",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { issuer: "https://other.example" };
      },
      "https://other.example, but authorizationServers.main.issuer is http://127.0.0.1",
    ],
    [
      "a template for an issuer",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { issuer: "https://login.example/{tenantid}/v2.0" };
      },
      "the issuer of your own tenant",
    ],
    [
      "an issuer with a slash more",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { issuer: `${server_.issuer}/` };
      },
      "they differ by the slash at the end",
    ],
    [
      "no authorization endpoint",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { authorization_endpoint: undefined };
      },
      "has no authorization_endpoint; set authorizationServers.main.endpoints.authorization",
    ],
    [
      "a plain http endpoint elsewhere",
      (server_: ScriptedAuthorizationServer) => {
        server_.document = { authorization_endpoint: "http://idp.example/a" };
      },
      "plain http is accepted on loopback only; set authorizationServers.main.endpoints.authorization",
    ],
  ])("says so when there is %s", async (_name, script, words) => {
    script(server);
    expect((await failureOf(adapterFor(server))).message).toContain(words);
  });

  it("says that TLS failed, or that a name does not resolve", async () => {
    expect((await failureOf(adapterFor({ issuer: server.issuer.replace("http:", "https:") }))).message).toContain(
      "the TLS connection to 127.0.0.1:",
    );
    expect((await failureOf(adapterFor({ issuer: `https://${"x".repeat(64)}.invalid` }))).message).toContain("does not resolve");
  });

  it("says that nothing came in time", async () => {
    const clock = new HeldClock();
    server.on(path, () => {});
    const failure = failureOf(adapterFor(server, {}, clock));
    await server.arrival(path);
    clock.fire();
    expect((await failure).message).toContain("did not answer within 5 s");
  });
});

describe("probe", () => {
  it("asks whatever is known, but every five seconds at most, and gives the problem or the difference of the clocks", async () => {
    const clock = new HeldClock();
    const adapter = adapterFor(server, {}, clock);
    for (let call = 0; call < 5; call += 1) expect(await adapter.probe("main")).toMatchObject({ ok: true });
    expect(server.to(path)).toHaveLength(1);
    clock.offsetMs += 5_001;
    server.on(path, (_request, response) =>
      sendJson(response, 200, server.discoveryDocument(), { date: new Date(Date.now() - 600_000).toUTCString() }),
    );
    const skewed = await adapter.probe("main");
    if (!skewed.ok) throw new Error(skewed.problem);
    expect(Math.abs((skewed.clockAheadSeconds ?? 0) - 605)).toBeLessThanOrEqual(2);
    clock.offsetMs += 5_001;
    server.on(path, (_request, response) => sendText(response, 503, ""));
    expect(await adapter.probe("main")).toMatchObject({ ok: false, problem: expect.stringContaining("answered 503") });
  });
});

describe("settings that cannot work", () => {
  it("are refused all at once, each by its name, and without a secret", () => {
    const settings = settingsFor(
      { issuer: "http://idp.example" },
      {
        clientSecret: undefined,
        clientAuthentication: "client_secret_basic",
        endpoints: { token: "http://idp.example/t", jwks: "nonsense" },
      },
    );
    let thrown: unknown;
    try {
      new AuthorizationServers([settings], { clock: systemClock, logger: silentLogger, audit: silentAudit });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: "configuration_invalid",
      details: {
        problems: [
          "authorizationServers.main.issuer (http://idp.example) must begin with https://; plain http is accepted on loopback only",
          "authorizationServers.main.endpoints.token (http://idp.example/t) must begin with https://; plain http is accepted on loopback only",
          "authorizationServers.main.endpoints.jwks (nonsense) is not an absolute address",
          "authorizationServers.main.clientAuthentication is client_secret_basic, but authorizationServers.main.clientSecret is missing",
        ],
      },
    });
  });

  it("do not exist: a name that is not configured is not found", async () => {
    await expect(adapterFor(server).beginLogin("other", { redirectUri })).rejects.toMatchObject({ code: "not_found" });
  });
});
