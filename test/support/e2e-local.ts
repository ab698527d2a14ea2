import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FaultServer, type FaultServerOptions, startFaultServer } from "../../src/testing/index.ts";
import { McpClient } from "./e2e-clients.ts";
import { type Exit, Program } from "./e2e-process.ts";
import { connectStdio, type StdioConnection } from "./e2e-stdio.ts";
import { eventually } from "./e2e-wait.ts";
import type { AtEnd } from "./e2e-world.ts";

/** The local side as a user has it: a configuration file, a store, an authorization server that signs in whoever the file names. */
export class LocalWorld {
  readonly server: FaultServer;
  readonly #atEnd: AtEnd;
  readonly #folder: string;

  private constructor(atEnd: AtEnd, server: FaultServer, folder: string) {
    this.#atEnd = atEnd;
    this.server = server;
    this.#folder = folder;
  }

  static async start(atEnd: AtEnd, options: FaultServerOptions = {}): Promise<LocalWorld> {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-local-"));
    atEnd(async () => rmSync(folder, { recursive: true, force: true }));
    const server = await startFaultServer(options);
    atEnd(() => server.close());
    return new LocalWorld(atEnd, server, folder);
  }

  /**
   * Arguments that name a configuration on the one store, which is written at the first time. `user`: whom the authorization
   * server signs in with it.
   */
  config(
    user = "alice",
    settings: Readonly<Record<string, unknown>> = {},
    more: Readonly<Record<string, unknown>> = {},
  ): readonly ["--config", string] {
    const file = join(this.#folder, `${user}.json`);
    if (existsSync(file)) return ["--config", file];
    const main = { issuer: this.server.issuer, clientId: "client", extraAuthorizationParameters: { login_hint: user }, ...settings };
    const config = { authorizationServers: { main }, store: { file: "latchkey.db" }, heartbeat: { intervalSeconds: 0.1 }, ...more };
    writeFileSync(file, JSON.stringify(config));
    return ["--config", file];
  }

  get storeFile(): string {
    return join(this.#folder, "latchkey.db");
  }

  /** A command that has been started and not waited for. */
  begin(...args: readonly string[]): Program {
    return Program.latchkey(this.#atEnd, args);
  }

  run(...args: readonly string[]): Promise<Exit> {
    return this.begin(...args).exit;
  }

  /** `latchkey login` as a user does it: by following the address that it writes. */
  async logIn(user = "alice", ...args: readonly string[]): Promise<Exit & { readonly page: string }> {
    const program = this.begin("login", ...this.config(user), ...args);
    const page = await follow(await addressOf(program));
    return { ...(await program.exit), page };
  }

  /** An SDK client that has started `latchkey stdio`. */
  connect(args: readonly string[] = this.config(), client = new McpClient("e2e")): Promise<StdioConnection> {
    return connectStdio(this.#atEnd, ["stdio", ...args], client);
  }
}

/** The address that `latchkey login` tells its user. */
export async function addressOf(program: Program): Promise<string> {
  const address = await eventually("an address to open", () => /^https?:\/\/\S+$/m.exec(program.stderr)?.[0], 20_000);
  return address;
}

/** Opens an address as a browser does, with all redirects. Gives the page. */
export async function follow(address: string): Promise<string> {
  const response = await fetch(address);
  return `${response.status} ${await response.text()}`;
}
