import { createServer, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";
import { HeldClock, recordingServices, refreshRequest, settingsFor, tokenBody } from "./fixtures.ts";

/** An address for documentation (RFC 5737): whoever reaches it went through the proxy. */
const issuer = "https://192.0.2.1";
const endpoints = { authorization: `${issuer}/authorize`, token: `${issuer}/token`, jwks: `${issuer}/jwks` };

// Node has had agents with proxies since 22.21 and 24.5; before, the variables are not looked at.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const hasProxies = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);

describe.runIf(hasProxies)("an authorization server behind the proxy of HTTPS_PROXY", () => {
  let server: TlsServer;
  let proxy: Server;
  let certificate: string;
  let bodies: string[];
  let tunnels: string[];
  let onConnect: (socket: Duplex) => void;
  const sockets = new Set<Duplex>();
  const trusted = tls.getCACertificates("default");

  beforeAll(async () => {
    const pair = newSelfSignedCertificate([192, 0, 2, 1]);
    certificate = pair.cert;
    server = createTlsServer(pair, async (request, response) => {
      let body = "";
      for await (const chunk of request) body += String(chunk);
      if (request.url === "/token") bodies.push(body);
      response.writeHead(request.url === "/token" ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(tokenBody));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    proxy = createServer().on("connect", (request, socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      tunnels.push(`${request.url} ${request.headers["proxy-authorization"] ?? ""}`.trim());
      onConnect(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    proxy.closeAllConnections();
    await Promise.all([new Promise((resolve) => server.close(resolve)), new Promise((resolve) => proxy.close(resolve))]);
  });
  beforeEach(() => {
    bodies = [];
    tunnels = [];
    onConnect = (socket) => {
      const upstream = connect((server.address() as AddressInfo).port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      }).on("error", () => socket.destroy());
      sockets.add(upstream);
    };
    tls.setDefaultCACertificates([...trusted, certificate]);
  });
  afterEach(() => tls.setDefaultCACertificates(trusted));

  const proxyUrl = (): string => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const refreshBy = (proxies: Record<string, string>, clock = systemClock): Promise<RefreshOutcome> =>
    new AuthorizationServers([settingsFor({ issuer }, { endpoints })], { ...recordingServices(clock).services, proxies }).refresh(
      refreshRequest(),
    );

  it("is reached through it, by a tunnel of its own for each request", async () => {
    expect((await refreshBy({ HTTPS_PROXY: proxyUrl() })).kind).toBe("rotated");
    expect(bodies).toEqual(["refresh_token=rt-1&grant_type=refresh_token"]);
    expect(new Set(tunnels)).toEqual(new Set(["192.0.2.1:443"]));
    expect(tunnels.length).toBeGreaterThan(1);
  });

  it("is reached through one that wants a password", async () => {
    expect((await refreshBy({ https_proxy: proxyUrl().replace("//", "//user:canary-proxy@") })).kind).toBe("rotated");
    expect(tunnels[0]).toBe(`192.0.2.1:443 Basic ${btoa("user:canary-proxy")}`);
  });

  it("gets nothing of a refresh that the proxy refuses, and the error does not show its password (B10)", async () => {
    onConnect = (socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    const outcome = await refreshBy({ HTTPS_PROXY: proxyUrl().replace("//", "//user:canary-proxy@") });
    if (outcome.kind !== "not_sent" || !(outcome.cause instanceof Error)) throw new Error(outcome.kind);
    expect(outcome.cause.message).toContain("the proxy of HTTPS_PROXY did not connect to 192.0.2.1:443");
    expect(outcome.cause.message).not.toContain("canary");
  });

  it("gets nothing of a refresh while its certificate is not trusted", async () => {
    tls.setDefaultCACertificates(trusted);
    const outcome = await refreshBy({ HTTPS_PROXY: proxyUrl() });
    expect(outcome).toMatchObject({ kind: "not_sent", cause: { code: "tls", message: expect.stringContaining("NODE_EXTRA_CA_CERTS") } });
    expect(bodies).toEqual([]);
  });

  it("gets nothing of a refresh whose tunnel does not stand in time", async () => {
    const clock = new HeldClock();
    const asked = new Promise<void>((resolve) => {
      onConnect = () => resolve();
    });
    const outcome = refreshBy({ HTTPS_PROXY: proxyUrl() }, clock);
    await asked;
    clock.fire();
    expect((await outcome).kind).toBe("not_sent");
    expect(bodies).toEqual([]);
  });

  it("is not asked for by way of it where NO_PROXY says so", async () => {
    // A label of 64 characters: the resolver refuses it by itself, without the network.
    const name = `${"x".repeat(64)}.invalid`;
    const settings = settingsFor({ issuer: `https://${name}` });
    const proxies = { HTTPS_PROXY: proxyUrl(), NO_PROXY: ".invalid" };
    const direct = await new AuthorizationServers([settings], { ...recordingServices().services, proxies }).probe("main");
    expect(direct).toMatchObject({ ok: false, problem: expect.stringContaining("does not resolve") });
    expect(tunnels).toEqual([]);
  });
});
