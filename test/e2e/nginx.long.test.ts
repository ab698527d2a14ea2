import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { type DemoSurroundings, startDemoSurroundings } from "../../src/composition/demo.ts";
import { demoTools } from "../../src/demo/tools.ts";
import { silentLogger } from "../../src/logger.ts";
import { McpClient } from "../support/e2e-clients.ts";
import { HttpBrowser } from "../support/e2e-http-browser.ts";
import { parseFields } from "../support/e2e-json.ts";
import { freePorts, Nginx, withoutNginx } from "../support/e2e-nginx.ts";
import { Program } from "../support/e2e-process.ts";
import { eventually } from "../support/e2e-wait.ts";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";

const names = ["latchkey-0", "latchkey-1", "latchkey-2"] as const;
const root = join(import.meta.dirname, "..", "..");

/** Three replicas with deploy/latchkey.config.json behind nginx with deploy/nginx.conf; users and clients come by https. */
class Deployment {
  readonly closers: (() => Promise<void>)[] = [];
  readonly replicas = new Map<string, Program>();
  publicUrl = "";
  nginx: Nginx | undefined;
  surroundings: DemoSurroundings | undefined;
  readonly keys = new Map<string, string>();
  readonly browsers: HttpBrowser[] = [];

  async start(): Promise<void> {
    const atEnd = (close: () => Promise<void>): void => void this.closers.push(close);
    const [port = 0, tlsPort = 0, ...ports] = await freePorts(2 + names.length);
    const certificate = newSelfSignedCertificate();
    setDefaultCACertificates([...getCACertificates("default"), certificate.cert]);
    this.publicUrl = `https://127.0.0.1:${tlsPort}`;
    const settings = {
      port: 0,
      accessTokenSeconds: 30,
      refreshTokenSeconds: 600,
      stateDirectory: undefined,
      clock: systemClock,
      logger: silentLogger,
    };
    const surroundings = await startDemoSurroundings(settings);
    this.surroundings = surroundings;
    atEnd(() => surroundings.close());
    surroundings.authorizationServer.register({
      redirectUris: [`${this.publicUrl}/login/callback`],
      postLogoutRedirectUris: [`${this.publicUrl}/`],
    });
    const folder = mkdtempSync(join(tmpdir(), "latchkey-deployed-"));
    atEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const config = join(folder, "latchkey.config.json");
    writeFileSync(config, JSON.stringify(this.#config(surroundings)));
    // One after the other: the first one makes the store's file.
    for (const [at, name] of names.entries()) {
      const env = {
        LATCHKEY_REPLICA: name,
        LATCHKEY_PUBLIC_URL: this.publicUrl,
        LATCHKEY_TRUSTED_PROXIES: "127.0.0.1",
        LATCHKEY_ISSUER: surroundings.authorizationServer.issuer,
        LATCHKEY_CLIENT_ID: surroundings.authorizationServer.clientId,
        LATCHKEY_CLIENT_SECRET: surroundings.authorizationServer.clientSecret,
        LATCHKEY_SEALING_KEY: "the-sealing-key-of-this-test-0123456789",
      };
      const replica = Program.latchkey(atEnd, ["serve", "--config", config, "--host", "127.0.0.1", "--port", String(ports[at])], { env });
      await replica.says(/^\{.*\}$/m);
      this.replicas.set(name, replica);
    }
    const addresses = new Map(names.map((name, at) => [name, ports[at] ?? 0] as const));
    this.nginx = await Nginx.start(atEnd, { port, tlsPort, certificate, replicas: addresses });
    for (const user of ["alice", "bob"]) {
      const browser = new HttpBrowser(this.publicUrl);
      this.browsers.push(browser);
      this.keys.set(user, await (await browser.signIn(user)).makeKey());
    }
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }

  /** What deploy/ has, on one SQLite file, with the demo's tools besides. */
  #config({ api }: DemoSurroundings): unknown {
    const { store: _, ...shipped } = JSON.parse(readFileSync(join(root, "deploy", "latchkey.config.json"), "utf8"));
    shipped.authorizationServers.main.resource = api.url;
    return { ...shipped, store: { file: "latchkey.db" }, apis: { notes: { baseUrl: api.url } }, tools: demoTools("notes") };
  }

  replica(name: string): Program {
    const found = this.replicas.get(name);
    if (found === undefined) throw new Error(`There is no replica ${name}.`);
    return found;
  }

  /** Security events of one replica. */
  audit(name: string, event: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.replica(name).stderr.split("\n");
    return lines
      .filter((line) => line.includes('"audit":true'))
      .map(parseFields)
      .filter((fields) => fields["event"] === event);
  }

  headers(user: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { authorization: `Bearer ${this.keys.get(user)}`, ...more };
  }

  async streamable(
    user: string,
  ): Promise<{ readonly client: McpClient; readonly transport: StreamableHTTPClientTransport; readonly replica: string }> {
    const transport = new StreamableHTTPClientTransport(new URL("/mcp", this.publicUrl), { requestInit: { headers: this.headers(user) } });
    const client = await McpClient.connect(transport);
    this.closers.push(() => client.close());
    return { client, transport, replica: nameIn(transport.sessionId ?? "") };
  }

  async sse(user: string): Promise<{ readonly client: McpClient; readonly endpoint: () => string; readonly replica: string }> {
    let endpoint = "";
    const transport = new SSEClientTransport(new URL("/sse", this.publicUrl), {
      requestInit: { headers: this.headers(user) },
      fetch: (input, init) => {
        const url = new URL(input);
        if (url.pathname === "/messages") endpoint = url.href;
        return fetch(input, init);
      },
    });
    const client = await McpClient.connect(transport);
    this.closers.push(() => client.close());
    return { client, endpoint: () => endpoint, replica: nameIn(endpoint) };
  }

  post(user: string, path: string, message: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(new URL(path, this.publicUrl), {
      method: "POST",
      headers: this.headers(user, { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers }),
      body: JSON.stringify(message),
    });
  }
}

function nameIn(id: string): string {
  return /\.([a-z0-9-]+)$/.exec(id)?.[1] ?? "";
}

const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

describe.skipIf(withoutNginx !== undefined)(`three replicas behind nginx${withoutNginx === undefined ? "" : ` (${withoutNginx})`}`, () => {
  const deployment = new Deployment();
  beforeAll(() => deployment.start(), 120_000);
  afterAll(() => deployment.close());

  test("each connection's requests reach the replica that it lives on, over both transports, and all replicas get some", async () => {
    const streamable = await Promise.all(Array.from({ length: 9 }, () => deployment.streamable("alice")));
    const sse = await Promise.all(Array.from({ length: 9 }, () => deployment.sse("bob")));
    for (const connections of [streamable, sse]) expect(new Set(connections.map(({ replica }) => replica))).toEqual(new Set(names));
    for (let round = 0; round < 5; round += 1) {
      expect(new Set(await Promise.all(streamable.map(({ client }) => client.whoami())))).toEqual(new Set(["alice"]));
      expect(new Set(await Promise.all(sse.map(({ client }) => client.whoami())))).toEqual(new Set(["bob"]));
    }
    expect(await streamable[0]?.client.notes()).toEqual([]);
    for (const name of names) {
      const opened = deployment.audit(name, "connection_opened").length;
      expect(opened).toBe([...streamable, ...sse].filter(({ replica }) => replica === name).length);
    }
  });

  test("DELETE ends a connection on its replica", async () => {
    for (let count = 0; count < 6; count += 1) {
      const { client, transport, replica } = await deployment.streamable("alice");
      const before = deployment.audit(replica, "connection_closed").length;
      const id = transport.sessionId ?? "";
      await transport.terminateSession();
      expect((await deployment.post("alice", "/mcp", ping, { "mcp-session-id": id })).status).toBe(404);
      await eventually("the replica closed it", () => deployment.audit(replica, "connection_closed").length > before);
      await client.close();
    }
  });

  test.each(["streamable", "sse"] as const)("events come at once and not when the answer is complete: %s", async (kind) => {
    const { client } = kind === "sse" ? await deployment.sse("alice") : await deployment.streamable("alice");
    const arrived: string[] = [];
    const call = client.call("slow_report", { seconds: 3 }, { onProgress: () => void arrived.push("progress") });
    const answered = call.finally(() => arrived.push("answer"));
    await eventually("something arrives", () => arrived.length > 0);
    expect(arrived).not.toContain("answer");
    expect((await answered).isError).toBe(false);
  });

  test("another user's credential gets the 404 of an unknown id, and the audit has the address that it came from (B4, F31)", async () => {
    const { transport, replica } = await deployment.streamable("alice");
    const { endpoint, replica: other } = await deployment.sse("alice");
    const far = { "x-forwarded-for": "203.0.113.7" };
    expect((await deployment.post("bob", "/mcp", ping, { ...far, "mcp-session-id": transport.sessionId ?? "" })).status).toBe(404);
    expect((await deployment.post("bob", endpoint(), ping, far)).status).toBe(404);
    for (const name of [replica, other])
      expect(deployment.audit(name, "foreign_connection_access").at(-1)).toMatchObject({ address: "203.0.113.7" });
  });

  test.each(["x.latchkey-9", "x", "x.127.0.0.1:1", ".latchkey-0", "x.latchkey-0 "])(
    "an id that nobody gave out is unknown: %j",
    async (id) => {
      expect((await deployment.post("alice", "/mcp", ping, { "mcp-session-id": id })).status).toBe(404);
      expect((await deployment.post("alice", `/messages?sessionId=${encodeURIComponent(id)}`, ping)).status).toBe(404);
    },
  );

  test("a replica that is told to stop lets its calls end; who comes after it is served by the others", async () => {
    const leaving = await eventually("a connection is on latchkey-2", async () => {
      const connection = await deployment.streamable("alice");
      return connection.replica === "latchkey-2" && connection;
    });
    const progress: number[] = [];
    const call = leaving.client.call("slow_report", { seconds: 3 }, { onProgress: (done) => void progress.push(done) });
    await eventually("the call runs", () => progress.length > 0);
    deployment.replica("latchkey-2").child.kill("SIGTERM");
    // Whoever came just before it stopped listening was told to come again in a moment.
    await eventually("the others serve who comes now", async () => (await deployment.streamable("bob")).replica !== "latchkey-2");
    expect((await call).isError).toBe(false);
    expect((await deployment.replica("latchkey-2").exit).code).toBe(0);
    const after = await Promise.all(Array.from({ length: 6 }, () => deployment.streamable("bob")));
    expect(after.map((each) => each.replica)).not.toContain("latchkey-2");
  });

  test("a killed replica gives its connections a clear failure, the others go on, and new connections work", async () => {
    const streamable = await Promise.all(Array.from({ length: 8 }, () => deployment.streamable("alice")));
    const sse = await Promise.all(Array.from({ length: 8 }, () => deployment.sse("alice")));
    const endpoints = new Map(sse.map((each) => [each, each.endpoint()]));
    const lost = deployment.replica("latchkey-1");
    lost.child.kill("SIGKILL");
    await lost.exit;
    for (const { client, replica, transport } of streamable) {
      if (replica !== "latchkey-1") expect(await client.whoami()).toBe("alice");
      else {
        await expect(client.whoami()).rejects.toMatchObject({ code: 404 });
        const answer = await deployment.post("alice", "/mcp", ping, { "mcp-session-id": transport.sessionId ?? "" });
        expect(answer.status).toBe(404);
        expect(await answer.json()).toMatchObject({ error: { message: "There is no such connection. Begin again with initialize." } });
      }
    }
    expect(streamable.some(({ replica }) => replica === "latchkey-1")).toBe(true);
    for (const each of sse) {
      const gone = each.replica === "latchkey-1";
      if (!gone) expect(await each.client.whoami()).toBe("alice");
      else expect((await deployment.post("alice", endpoints.get(each) ?? "", ping)).status).toBe(404);
    }
    expect(sse.some(({ replica }) => replica === "latchkey-1")).toBe(true);
    const again = await Promise.all([
      ...Array.from({ length: 4 }, () => deployment.streamable("bob")),
      ...Array.from({ length: 4 }, () => deployment.sse("bob")),
    ]);
    for (const { client, replica } of again) {
      expect(replica).toBe("latchkey-0");
      expect(await client.whoami()).toBe("bob");
    }
  });

  test("the logs of nginx have no authorization code, no connection key and no cookie (B10)", () => {
    const codes = deployment.browsers.flatMap(({ visited }) => visited.flatMap(({ searchParams }) => searchParams.get("code") ?? []));
    const cookies = deployment.browsers.flatMap((browser) => browser.cookies());
    const log = deployment.nginx?.log ?? "";
    expect(codes).toHaveLength(2);
    expect(log).toContain('"GET /login/callback"');
    for (const secret of [...codes, ...cookies, ...deployment.keys.values()]) expect(log).not.toContain(secret);
  });
});
