import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentAudit } from "../../src/audit/audit.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { LoginSession, LoginSessionHandle } from "../../src/session/login-session.ts";
import type { Store } from "../../src/session/store.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { type Fields, mustString, parseFields } from "./e2e-json.ts";
import { Program } from "./e2e-process.ts";
import { eventually } from "./e2e-wait.ts";
import type { AtEnd } from "./e2e-world.ts";
import { ScriptedAuthorizationServer, sendJson } from "./scripted-authorization-server.ts";

const importSecret = "the-import-secret-of-the-tests-0123456789";

/** `latchkey serve` in processes of their own on one SQLite file, in front of an authorization server that the test scripts. */
export class Served {
  readonly folder: string;
  readonly server: ScriptedAuthorizationServer;
  /** The same file, as one process more. */
  readonly store: Store;
  readonly #atEnd: AtEnd;

  private constructor(atEnd: AtEnd, folder: string, server: ScriptedAuthorizationServer, store: Store) {
    this.#atEnd = atEnd;
    this.folder = folder;
    this.server = server;
    this.store = store;
  }

  static async prepare(atEnd: AtEnd, authorizationServer: Readonly<Record<string, unknown>> = {}): Promise<Served> {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-served-"));
    atEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const server = await ScriptedAuthorizationServer.start();
    atEnd(() => server.close());
    const config = {
      authorizationServers: {
        main: { issuer: server.issuer, clientId: "client-1", clientSecret: "the-client-secret", ...authorizationServer },
      },
      store: { file: "latchkey.db" },
      import: { secret: importSecret },
      refresh: { timeoutSeconds: 1 },
      heartbeat: { intervalSeconds: 0.1 },
    };
    writeFileSync(join(folder, "latchkey.config.json"), JSON.stringify(config));
    const options = { file: join(folder, "latchkey.db"), keys: [], clock: systemClock, logger: silentLogger, audit: silentAudit };
    const { store } = await openSqliteStore(options);
    atEnd(() => store.close());
    return new Served(atEnd, folder, server, store);
  }

  /** Starts one more process, and waits until it is ready. */
  async start(port = 0, env: Readonly<Record<string, string>> = {}): Promise<ServedProcess> {
    const program = Program.latchkey(this.#atEnd, ["serve", "--port", String(port)], { cwd: this.folder, env });
    const url = mustString(parseFields((await program.says(/^\{.*\}$/m))[0]), "url");
    return new ServedProcess(program, url);
  }

  /** From now on the token endpoint gives these, each refresh the next, with ID tokens of this key. */
  async answerTokens(...replies: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    const bodies = await Promise.all(
      replies.map(async (reply) => ({ token_type: "Bearer", id_token: await this.server.idToken(), ...reply })),
    );
    let next = 0;
    this.server.on("/token", (_request, response) => {
      const body = bodies[Math.min(next, bodies.length - 1)];
      next += 1;
      sendJson(response, 200, body);
    });
  }

  /** The refresh tokens that were presented, in order. */
  presented(): readonly string[] {
    return this.server.to("/token").map(({ form }) => form.get("refresh_token") ?? "");
  }

  async record(handle: string): Promise<LoginSession> {
    const found = await this.store.loginSessions.getByHandle(handle as LoginSessionHandle);
    if (found === undefined) throw new Error(`There is no login session ${handle}.`);
    return found;
  }

  /** The record, once it is as asked for. */
  recordWhen(handle: string, what: string, is: (record: LoginSession) => boolean, withinMs = 20_000): Promise<LoginSession> {
    return eventually(
      `the login session is ${what}`,
      async () => {
        const record = await this.record(handle);
        return is(record) ? record : undefined;
      },
      withinMs,
    );
  }
}

/** One process. */
export class ServedProcess {
  readonly program: Program;
  readonly url: string;

  constructor(program: Program, url: string) {
    this.program = program;
    this.url = url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Takes over the login of alice with the refresh token rt-0. */
  async importLogin(server: ScriptedAuthorizationServer): Promise<{ readonly handle: string; readonly key: string }> {
    const body = { id_token: await server.idToken(), access_token: "at-0", refresh_token: "rt-0", expires_in: 60 };
    const { status, json } = await this.api("POST", "", body);
    if (status !== 201) throw new Error(`The import ended with ${status}: ${JSON.stringify(json)}`);
    return { handle: mustString(json, "id"), key: mustString(json, "key") };
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

  /** SIGKILL: nothing is drained, nothing is said. */
  async kill(): Promise<void> {
    this.program.child.kill("SIGKILL");
    await this.program.exit;
  }
}
