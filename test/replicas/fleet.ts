import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FaultServer, type FaultServerOptions, startFaultServer } from "../../src/testing/index.ts";
import { type Fields, mustString, parseFields } from "../support/e2e-json.ts";
import { Program } from "../support/e2e-process.ts";
import { eventually } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { callTool, type ToolOutcome } from "./raw-mcp.ts";
import type { SharedStore, SharedStoreKind } from "./shared-stores.ts";

const importSecret = "the-import-secret-of-the-tests-0123456789";

export interface FleetOptions {
  readonly replicas: number;
  readonly accessTokenSeconds: number;
  readonly server?: FaultServerOptions;
  /** What the configuration says of the authorization server. */
  readonly authorizationServer?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A login that was taken over, with a key for MCP clients. */
export interface FleetUser {
  readonly subject: string;
  readonly family: string;
  readonly handle: string;
  readonly key: string;
}

/** One of several `latchkey serve` on one store. Its port stays when it is started again. */
export class Replica {
  readonly name: string;
  readonly #fleet: Fleet;
  program: Program | undefined;
  /** All of its processes, the killed ones too. */
  readonly #programs: Program[] = [];
  port = 0;
  /** Milliseconds since the epoch. */
  readonly kills: number[] = [];

  constructor(fleet: Fleet, name: string) {
    this.#fleet = fleet;
    this.name = name;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isUp(): boolean {
    return this.program !== undefined;
  }

  async start(): Promise<void> {
    const env = { LATCHKEY_DATA_DIR: join(this.#fleet.folder, this.name) };
    const program = Program.latchkey(this.#fleet.atEnd, ["serve", "--port", String(this.port)], { cwd: this.#fleet.folder, env });
    this.#programs.push(program);
    const url = mustString(parseFields((await program.says(/^\{.*\}$/m, 60_000))[0]), "url");
    this.port = Number(new URL(url).port);
    this.program = program;
  }

  /** SIGKILL: nothing is drained, nothing is said. */
  async kill(): Promise<void> {
    const { program } = this;
    if (program === undefined) return;
    this.program = undefined;
    this.kills.push(Date.now());
    program.child.kill("SIGKILL");
    await program.exit;
  }

  /** What its processes have logged of a login session. */
  linesAbout(handle: string): readonly string[] {
    const lines = this.#programs.flatMap(({ stderr }) => stderr.split("\n")).filter((line) => line.includes(handle));
    return lines.map((line) => `${this.name} ${line}`);
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<void> {
    const { program } = this;
    this.program = undefined;
    program?.child.kill("SIGTERM");
    await program?.exit;
  }

  /** The API of login sessions, as the backend that imports. */
  async api(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly json: Fields }> {
    const response = await fetch(`${this.url}/api/sessions${path}`, {
      method,
      headers: { authorization: `Bearer ${importSecret}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: parseFields(await response.text()) };
  }

  /** One call on a connection of its own: the user that the API was called as. */
  me(user: FleetUser): Promise<ToolOutcome> {
    return callTool(this.url, user.key, "me");
  }
}

/** Several `latchkey serve` in processes of their own on one store, in front of a strict authorization server with a ledger. */
export class Fleet {
  readonly atEnd: AtEnd;
  readonly folder: string;
  readonly server: FaultServer;
  readonly replicas: readonly Replica[];
  readonly users: FleetUser[] = [];

  /** Of the store; undefined: it cannot be kept away. */
  readonly outage: SharedStore["outage"];

  private constructor(atEnd: AtEnd, folder: string, server: FaultServer, replicas: number, outage: SharedStore["outage"]) {
    this.atEnd = atEnd;
    this.outage = outage;
    this.folder = folder;
    this.server = server;
    this.replicas = Array.from({ length: replicas }, (_, index) => new Replica(this, `r${index + 1}`));
  }

  static async start(atEnd: AtEnd, kind: SharedStoreKind, options: FleetOptions): Promise<Fleet> {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-fleet-"));
    atEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const life = { kind: "access_token_life", seconds: options.accessTokenSeconds } as const;
    const server = await startFaultServer({ ...options.server, behaviours: [life, ...(options.server?.behaviours ?? [])] });
    atEnd(() => server.close());
    const { config, outage } = await kind.prepare(atEnd);
    const all = {
      authorizationServers: { main: { issuer: server.issuer, clientId: "client", ...options.authorizationServer } },
      apis: { sample: { baseUrl: server.origin } },
      tools: [{ name: "me", description: "Whom the API takes the access token for.", api: "sample", path: "/userinfo" }],
      import: { secret: importSecret },
      ...config,
      ...options.config,
    };
    writeFileSync(join(folder, "latchkey.config.json"), JSON.stringify(all));
    const fleet = new Fleet(atEnd, folder, server, options.replicas, outage);
    for (const replica of fleet.replicas) await replica.start();
    return fleet;
  }

  /** Takes a login over by one of the replicas. */
  async signIn(subject: string, replica = this.#any()): Promise<FleetUser> {
    const { accessToken, idToken, refreshToken, expiresInSeconds, family } = await this.server.issue({ subject });
    const body = { id_token: idToken, access_token: accessToken, refresh_token: refreshToken, expires_in: expiresInSeconds };
    const { status, json } = await replica.api("POST", "", body);
    if (status !== 201) throw new Error(`The import ended with ${status}: ${JSON.stringify(json)}`);
    const user = { subject, family, handle: mustString(json, "id"), key: mustString(json, "key") };
    this.users.push(user);
    return user;
  }

  /** So many users, some at a time. */
  async signInMany(count: number): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) {
        next += 1;
        await this.signIn(`user-${next}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  }

  /** What the API says of a login session. */
  async session(user: FleetUser): Promise<Fields> {
    const { status, json } = await this.#any().api("GET", `/${user.handle}`);
    if (status !== 200) throw new Error(`The API answered ${status} about ${user.handle}.`);
    return json;
  }

  sessionWhen(user: FleetUser, what: string, is: (session: Fields) => boolean, withinMs = 30_000): Promise<Fields> {
    return eventually(
      `the login session is ${what}`,
      async () => {
        const session = await this.session(user);
        return is(session) ? session : undefined;
      },
      withinMs,
    );
  }

  #any(): Replica {
    const up = this.replicas.find((replica) => replica.isUp);
    if (up === undefined) throw new Error("No replica is up.");
    return up;
  }
}
