import { createServer, type Server as HttpServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { AuditEvent } from "../../src/audit/audit.ts";
import { LatchkeyError } from "../../src/errors.ts";
import { createLogger } from "../../src/logger.ts";
import { createServerFactory, type ServerFactoryOptions } from "../../src/mcp/server-factory.ts";
import { ConnectionKeyAuthenticator } from "../../src/session/authenticator.ts";
import type { AccessToken, LoginSession, LoginSessionHandle, LoginSessionId } from "../../src/session/login-session.ts";
import { LoginSessions } from "../../src/session/login-sessions.ts";
import { hashConnectionKey } from "../../src/session/random.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { sessionTools } from "../../src/tool/session-tools.ts";
import type { Tool, ToolContext } from "../../src/tool/tool.ts";
import { createToolContext } from "../../src/tool/tool-context.ts";
import { createToolTable } from "../../src/tool/tool-table.ts";
import type { ClientAddress } from "../../src/transport/client-address.ts";
import { ConnectionRegistry, type ConnectionSettings } from "../../src/transport/connection-registry.ts";
import { createHostCheck } from "../../src/transport/host-check.ts";
import { McpHttp, type McpHttpSettings } from "../../src/transport/http-mcp.ts";
import { liveSession } from "../support/fake-call-host.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

/** A call of the tool `hold` that waits for the test to release it. */
export interface HeldCall {
  readonly label: string;
  readonly context: ToolContext;
  release(answer: string): void;
  fail(error: unknown): void;
}

export interface BenchOptions {
  readonly connections?: Partial<ConnectionSettings>;
  readonly http?: Partial<McpHttpSettings>;
  readonly corsOrigins?: readonly string[];
  readonly clientAddress?: ClientAddress;
  readonly tools?: readonly Tool[];
  readonly server?: Partial<ServerFactoryOptions>;
  readonly modern?: { readonly maxExchanges?: number; readonly maxExchangesPerLoginSession?: number };
}

const anything = { type: "object", properties: { label: { type: "string" } }, additionalProperties: true } as const;

/** The whole MCP side over real HTTP on a free port, with a store in memory, a manual clock, and two signed-in users. */
export class McpBench {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(() => this.clock.now());
  readonly lines: string[] = [];
  readonly events: AuditEvent[] = [];
  readonly held: HeldCall[] = [];
  readonly logger = createLogger({
    level: "debug",
    format: "json",
    write: (line) => void this.lines.push(line),
    now: () => this.clock.now(),
  });
  readonly audit = { record: (event: AuditEvent) => void this.events.push(event) };
  readonly loginSessions = new LoginSessions(this.store.loginSessions, this.logger);
  readonly registry: ConnectionRegistry;
  readonly mcp: McpHttp;
  readonly #http: HttpServer;
  readonly #clients: Client[] = [];
  #heldWaiters: (() => void)[] = [];
  /** Replace it to hold or to fail a sign-out. */
  beforeEnd: () => Promise<void> = async () => {};
  /** Runs after the login session has ended, before sign_out is answered. */
  afterEnd: () => Promise<void> = async () => {};

  constructor(options: BenchOptions = {}) {
    const tools = createToolTable([...sessionTools, this.#echo(), this.#hold(), this.#token(), ...(options.tools ?? [])]);
    const servers = createServerFactory({
      name: "latchkey",
      version: "0.0.0",
      tools,
      createContext: (host) => createToolContext(host, [], { clock: this.clock, logger: this.logger }),
      tokens: {
        acquire: (login) => {
          const [entry] = login.current().accessTokens;
          if (entry === undefined) throw new LatchkeyError("login_required", "This login session needs a new sign-in: grant_dead.");
          return entry;
        },
      },
      endLoginSession: async (id) => {
        await this.beforeEnd();
        const loginSession = await this.end(id);
        await this.afterEnd();
        return { loginSession, revocation: "done" };
      },
      loginLink: (repair) => `http://127.0.0.1/login${repair === undefined ? "" : `?repair=${repair}`}`,
      deadLoginError: (login) =>
        login.state === "ended"
          ? new LatchkeyError("login_ended", "This login session has ended: logout.", { details: { login: login.handle } })
          : new LatchkeyError("login_required", "This login session needs a new sign-in: grant_dead.", {
              details: { login: login.handle, reason: login.reason?.code },
            }),
      logger: this.logger,
      ...options.server,
    });
    const { clock, logger, audit, loginSessions } = this;
    this.registry = new ConnectionRegistry({ loginSessions, servers, clock, logger, audit, settings: options.connections });
    this.mcp = new McpHttp({
      registry: this.registry,
      authenticator: new ConnectionKeyAuthenticator(this.store.connectionKeys, clock),
      loginSessions,
      checkHost: createHostCheck({ allowedHosts: [], corsOrigins: options.corsOrigins ?? [] }),
      clientAddress: options.clientAddress,
      clock,
      logger,
      audit,
      modern: { servers, maxExchanges: 100, maxExchangesPerLoginSession: 10, ...options.modern },
      settings: options.http,
    });
    this.#http = createServer((request, response) => void this.mcp.handle(request, response));
  }

  static async start(options: BenchOptions = {}): Promise<McpBench> {
    const bench = new McpBench(options);
    await new Promise<void>((resolve) => bench.#http.listen(0, "127.0.0.1", resolve));
    await bench.signIn("alice");
    await bench.signIn("bob");
    return bench;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.registry.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** A new live login session of this user with the connection key `lk_<name>`. */
  async signIn(name: string, subject = name): Promise<LoginSessionId> {
    const id = `id-${name}` as LoginSessionId;
    const entry = {
      target: { scopes: [] },
      accessToken: `canary-token-of-${name}` as AccessToken,
      grantedScopes: [],
      obtainedAt: 0,
      expiresAt: Date.UTC(2100, 0),
    };
    await this.loginSessions.insert(
      liveSession({
        id,
        handle: `ls_${name}` as LoginSessionHandle,
        principal: { issuer: "https://as.example", subject, clientId: "latchkey" },
        profile: { name },
        refreshToken: `canary-refresh-${name}` as LoginSession["refreshToken"],
        accessTokens: [entry],
        nextDueAt: undefined,
      }),
    );
    await this.addKey(name, `lk_${name}`);
    return id;
  }

  async addKey(name: string, key: string, expiresAt?: number): Promise<void> {
    const loginSessionId = `id-${name}` as LoginSessionId;
    await this.store.connectionKeys.insert(
      { id: key, hash: hashConnectionKey(key), loginSessionId, name: key, createdAt: 0, expiresAt },
      20,
    );
  }

  /** What the page does. */
  async removeKey(name: string, key: string): Promise<void> {
    await this.store.connectionKeys.remove(`id-${name}` as LoginSessionId, key);
    this.registry.closeByKey(`id-${name}` as LoginSessionId, key);
  }

  /** What logout does to the record. */
  async end(id: LoginSessionId): Promise<LoginSession> {
    return this.#change(id, {
      state: "ended",
      reason: { code: "logout", at: this.clock.now() },
      accessTokens: [],
      refreshToken: undefined,
    });
  }

  async requireLogin(id: LoginSessionId): Promise<LoginSession> {
    return this.#change(id, {
      state: "login_required",
      reason: { code: "grant_dead", at: this.clock.now() },
      accessTokens: [],
      refreshToken: undefined,
    });
  }

  async #change(id: LoginSessionId, changes: Partial<LoginSession>): Promise<LoginSession> {
    const current = await this.loginSessions.get(id);
    if (current === undefined) throw new Error(`no login session ${id}`);
    if (current.state === "ended") return current;
    const next = { ...current, ...changes, version: current.version + 1 };
    await this.loginSessions.commit(current, next);
    return next;
  }

  /** A real SDK client over Streamable HTTP. */
  async streamable(name: string, clientName = "test-client"): Promise<Client> {
    const client = new Client({ name: clientName, version: "1.2.3" });
    this.#clients.push(client);
    await client.connect(new StreamableHTTPClientTransport(new URL(`${this.url}/mcp`), { requestInit: bearer(`lk_${name}`) }));
    return client;
  }

  /** A real SDK client over HTTP+SSE. */
  async sse(name: string, clientName = "test-client"): Promise<Client> {
    const client = new Client({ name: clientName, version: "1.2.3" });
    this.#clients.push(client);
    await client.connect(new SSEClientTransport(new URL(`${this.url}/sse`), { requestInit: bearer(`lk_${name}`) }));
    return client;
  }

  /** A Streamable HTTP connection by hand: its id. */
  async initialize(name: string, protocolVersion = "2025-11-25"): Promise<string> {
    const response = await this.post(name, undefined, initializeMessage(protocolVersion));
    await response.text();
    const id = response.headers.get("mcp-session-id");
    if (id === null) throw new Error(`not initialized: ${response.status}`);
    return id;
  }

  /** An HTTP+SSE connection by hand, its address for messages known. */
  async openSse(key: string): Promise<RawStream> {
    const stream = await RawStream.open(`${this.url}/sse`, { authorization: `Bearer ${key}` });
    await stream.until(({ text }) => text.includes("sessionId="));
    return stream;
  }

  post(
    name: string,
    sessionId: string | undefined,
    message: unknown,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    return fetch(`${this.url}/mcp`, {
      method: "POST",
      headers: {
        authorization: `Bearer lk_${name}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(sessionId === undefined ? {} : { "mcp-session-id": sessionId }),
        ...headers,
      },
      body: typeof message === "string" ? message : JSON.stringify(message),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Resolves when `count` calls of `hold` wait. */
  async holding(count: number): Promise<void> {
    while (this.held.length < count) await new Promise<void>((resolve) => this.#heldWaiters.push(resolve));
  }

  /** A request by hand, answer and all. */
  raw(method: string, path: string, headers: Record<string, string>, body?: string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(this.url);
      const request = httpRequest({ hostname, port, path, method, headers }, (response: IncomingMessage) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: withoutDate(response.rawHeaders), body: text }));
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  #echo(): Tool {
    return {
      name: "echo",
      description: "Says who called.",
      inputSchema: {
        type: "object",
        properties: { text: { type: "string" }, times: { type: "integer", minimum: 1 } },
        required: ["text"],
        additionalProperties: false,
      },
      run: async ({ text }, context) => ({ content: [{ type: "text", text: `${context.principal.subject}: ${text}` }] }),
    };
  }

  #hold(): Tool {
    return {
      name: "hold",
      description: "Waits for the test.",
      inputSchema: anything,
      run: (args, context) =>
        new Promise((resolve, reject) => {
          const label = String(args.label ?? "");
          const release = (answer: string): void => resolve({ content: [{ type: "text", text: answer }] });
          this.held.push({ label, context, release, fail: reject });
          for (const waiter of this.#heldWaiters.splice(0)) waiter();
        }),
    };
  }

  /** Needs an access token, as an HTTP tool does. */
  #token(): Tool {
    return {
      name: "token_user",
      description: "Uses an access token.",
      inputSchema: anything,
      run: async (_args, context) => {
        const { state } = await context.status();
        if (state === "login_required") throw new LatchkeyError("login_required", "This login session needs a new sign-in: grant_dead.");
        return { content: [{ type: "text", text: "used" }] };
      },
    };
  }
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** The messages of a stream by hand, as they arrive. */
export class RawStream {
  readonly status: number;
  readonly headers: Headers;
  text = "";
  isEnded = false;
  readonly #waiters = new Set<() => void>();

  constructor(response: Response) {
    this.status = response.status;
    this.headers = response.headers;
    void this.#read(response);
  }

  static async open(url: string, headers: Record<string, string>): Promise<RawStream> {
    return new RawStream(await fetch(url, { headers: { accept: "text/event-stream", ...headers } }));
  }

  /** The id of the HTTP+SSE connection, from the address that the stream begins with. */
  get sseId(): string {
    return /sessionId=([\w-]+)/.exec(this.text)?.[1] ?? "";
  }

  /** Resolves when what has arrived fulfils the condition. */
  async until(condition: (stream: RawStream) => boolean): Promise<void> {
    while (!condition(this)) {
      if (this.isEnded) throw new Error(`the stream ended before: ${this.text}`);
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  async ended(): Promise<void> {
    while (!this.isEnded) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  /** The JSON of each data line. */
  get messages(): {
    readonly id?: unknown;
    readonly method?: string;
    readonly result?: Record<string, unknown>;
    readonly error?: { code: number; message: string };
  }[] {
    return this.text
      .split("\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice(6)));
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) {
        this.text += decoder.decode(chunk, { stream: true });
        this.#wake();
      }
    } catch {
      // Cut off: an end like any other here.
    }
    this.isEnded = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
    this.#waiters.clear();
  }
}

function bearer(key: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${key}` } };
}

export function initializeMessage(protocolVersion = "2025-11-25", id: number | string = 0): object {
  return {
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion, capabilities: {}, clientInfo: { name: "raw", version: "0" } },
  };
}

export function callMessage(id: number | string, name: string, args: object = {}, progressToken?: string): object {
  return {
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: { name, arguments: args, ...(progressToken === undefined ? {} : { _meta: { progressToken } }) },
  };
}

/** The text of a tool's answer. */
export function textOf(result: unknown): string {
  const [first] = (result as { content: { text: string }[] }).content;
  return first?.text ?? "";
}

/** Waits, turn by turn of the event loop, for what happens on the other side of a socket. Fails after many turns. */
export async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn += 1) {
    if (condition()) return;
    await settle();
  }
  throw new Error(`it did not happen: ${condition.toString()}`);
}

function withoutDate(rawHeaders: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() !== "date") kept.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return kept;
}
