import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { LatchkeyError } from "../../src/errors.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { Connection } from "../../src/transport/connection.ts";
import type { LoginTruth } from "./login-truth.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedReplica } from "./simulated-replica.ts";
import type { World } from "./world.ts";

interface Open {
  readonly replica: SimulatedReplica;
  readonly connection: Connection;
  isClosed: boolean;
}

/** What a user has of a login session. */
interface Held {
  readonly id: LoginSession["id"];
  readonly handle: LoginSession["handle"];
  readonly truth: LoginTruth;
}

const minuteMs = 60_000;

/** One person with MCP clients: signs in, calls tools, signs out, and sometimes does what nobody expects. */
export class SimulatedUser {
  readonly subject: string;
  readonly #world: World;
  readonly #server: SimulatedAuthorizationServer;
  readonly #random: SeededRandom;
  /** How long it waits between two things that it does. */
  readonly #paceMs: number;
  readonly #connections = new Set<Open>();
  #held: Held | undefined;
  #calls = 0;
  #isLeaving = false;

  constructor(world: World, subject: string, server: SimulatedAuthorizationServer, random: SeededRandom) {
    this.#world = world;
    this.subject = subject;
    this.#server = server;
    this.#random = random;
    this.#paceMs = random.pick([1, 5, 5, 10, 20]) * minuteMs;
  }

  get server(): SimulatedAuthorizationServer {
    return this.#server;
  }

  /** Begins to live. */
  start(): void {
    this.#later(this.#random.exponential(this.#paceMs / 4));
  }

  /** Does nothing more but to sign out. */
  leave(): void {
    this.#isLeaving = true;
    void this.#leave();
  }

  /** Revokes the user's grant at the authorization server: an administrator there did. */
  revokeGrant(): boolean {
    const token = this.#held?.truth.record.refreshToken;
    if (token === undefined) return false;
    this.#server.revoke(token, "revoked_by_server");
    return true;
  }

  #later(delayMs: number): void {
    this.#world.scheduler.after(delayMs, () => {
      if (this.#isLeaving) return;
      const acted = this.#act();
      void acted.then((waitMs) => this.#later(waitMs ?? this.#random.exponential(this.#paceMs)));
    });
  }

  /** Does one thing. Gives how long to wait before the next, if it is not the usual time. */
  async #act(): Promise<number | undefined> {
    const random = this.#random;
    const held = this.#held;
    if (held === undefined) return this.#signIn();
    const { state } = held.truth.record;
    if (held.truth.removed || state === "ended") {
      this.#held = undefined;
      return random.exponential(minuteMs);
    }
    if (state === "login_required") return random.chance(0.6) ? this.#repair(held) : this.#forget();
    const luck = random.next();
    if (luck < 0.02) return this.#signOut(held);
    if (luck < 0.04) return this.#hangUp();
    if (luck < 0.07) await this.#connect(held);
    else if (luck < 0.075) return random.between(2, 5) * 60 * minuteMs;
    else if (luck < 0.1) await this.#burst(held);
    else await this.#call(held);
    return undefined;
  }

  async #signIn(): Promise<number | undefined> {
    const { world, replica } = { world: this.#world, replica: this.#world.pickReplica(this.#random) };
    if (replica === undefined || world.conditions.isOut(this.#server.traits.name)) return 10_000;
    const imports = this.#random.chance(0.3);
    const login = this.#server.signIn(this.subject, replica.process.clock.now());
    const record = imports
      ? await world.inProcess(replica, "import", () => this.#import(replica, login.tokens.refreshToken))
      : await world.inProcess(replica, "login", () => replica.logins.start(login, { kind: "browser" }));
    if (record === undefined) return 20_000;
    const truth = world.truthOf(record.id);
    if (truth === undefined) return 20_000;
    this.#held = { id: record.id, handle: record.handle, truth };
    await this.#connect(this.#held);
    return undefined;
  }

  async #import(replica: SimulatedReplica, refreshToken: string): Promise<LoginSession> {
    const request = { idToken: `${this.#server.traits.name}/${this.subject}`, refreshToken };
    const first = replica.imports.importLogin(request);
    // The backend got impatient and asks another replica for the same.
    const other = this.#random.chance(0.2) ? this.#world.pickReplica(this.#random) : undefined;
    if (other !== undefined) void this.#world.inProcess(other, "import again", () => other.imports.importLogin(request));
    return (await first).loginSession;
  }

  async #repair(held: Held): Promise<number | undefined> {
    const replica = this.#world.pickReplica(this.#random);
    if (replica === undefined || this.#world.conditions.isOut(this.#server.traits.name)) return 10_000;
    const login = this.#server.signIn(this.subject, replica.process.clock.now());
    await this.#world.inProcess(replica, "repair", () => replica.logins.repair(held.handle, login));
    return undefined;
  }

  /** The user has forgotten the old one, and signs in anew. */
  async #forget(): Promise<number> {
    this.#closeAll();
    this.#held = undefined;
    return this.#random.exponential(2 * minuteMs);
  }

  async #signOut(held: Held): Promise<number | undefined> {
    const replica = this.#world.pickReplica(this.#random);
    if (replica === undefined) return 1_000;
    // Something may well be under way.
    if (this.#random.chance(0.5)) void this.#call(held);
    const options = this.#random.chance(0.5) ? { waitForRevocationMs: 2_000 } : {};
    const result = await this.#world.inProcess(replica, "logout", async () => {
      const ended = await replica.logout.end(held.id, "logout", options);
      this.#world.logoutAnswered(held.truth, replica);
      return ended;
    });
    if (result === undefined) return 5_000;
    this.#held = undefined;
    return this.#random.chance(0.5) ? this.#random.between(0, 1_000) : this.#random.exponential(10 * minuteMs);
  }

  async #leave(): Promise<void> {
    for (;;) {
      const held = this.#held;
      if (held === undefined) break;
      const replica = this.#world.pickReplica(this.#random);
      const result =
        replica === undefined ? undefined : await this.#world.inProcess(replica, "logout", () => replica.logout.end(held.id, "logout"));
      if (result !== undefined || held.truth.removed) break;
      await this.#world.pause(1_000);
    }
    this.#closeAll();
  }

  async #hangUp(): Promise<undefined> {
    const [open] = this.#connections;
    if (open !== undefined) this.#close(open);
  }

  #close(open: Open): void {
    this.#connections.delete(open);
    this.#world.count("unbound");
    open.replica.process.enter(() => open.connection.close("client"));
  }

  #closeAll(): void {
    for (const open of [...this.#connections]) this.#close(open);
  }

  /** An open connection to a replica that is there, or a new one. */
  async #connection(held: Held): Promise<Open | undefined> {
    for (const open of [...this.#connections]) {
      if (open.replica.process.isKilled || open.isClosed) this.#connections.delete(open);
      else if (open.connection.isOpen && open.connection.login.id === held.id) return open;
    }
    return this.#connect(held);
  }

  async #connect(held: Held): Promise<Open | undefined> {
    const replica = this.#world.pickReplica(this.#random);
    if (replica === undefined) return undefined;
    const holdsStream = this.#random.chance(0.3);
    return this.#world.inProcess(replica, "bind", async () => {
      let open: Open | undefined;
      const outcome = await replica.registry.open({
        transport: "streamable-http",
        loginSessionId: held.id,
        makeWire: () => ({
          holdsStream,
          send: (message) => this.#hear(open, held, message),
          drop: () => {},
          keepAlive: () => {},
          endStreams: () => {},
          close: () => {
            if (open !== undefined) open.isClosed = true;
          },
        }),
      });
      if (outcome.kind !== "opened") return undefined;
      open = { replica, connection: outcome.connection, isClosed: false };
      this.#connections.add(open);
      this.#world.bound(held.truth, outcome.connection, replica);
      return open;
    });
  }

  async #call(held: Held): Promise<void> {
    const open = await this.#connection(held);
    if (open === undefined) return;
    const id = ++this.#calls;
    const message = { jsonrpc: "2.0" as const, id, method: "tools/call", params: { name: "call_api", arguments: {} } };
    open.replica.process.enter(() => open.connection.deliver([{ kind: "request", message }]));
  }

  /** Many calls at one time, each with its own wish. */
  async #burst(held: Held): Promise<void> {
    const open = await this.#connection(held);
    if (open === undefined) return;
    const { replica, connection } = open;
    const random = this.#random;
    const wishes = Array.from({ length: 12 }, () => ({
      rejected: random.chance(0.2) ? held.truth.record.accessTokens[0]?.accessToken : undefined,
      minimumValiditySeconds: random.chance(0.2) ? this.#server.traits.accessTokenSeconds / 2 : undefined,
      signal: random.chance(0.1) ? AbortSignal.abort() : undefined,
    }));
    await Promise.all(
      wishes.map((options) =>
        this.#world.inProcess(replica, "acquire", async () => {
          if (!connection.isOpen) return;
          const entry = await replica.tokens.acquire(connection.login, { scopes: [] }, options);
          this.#world.served(held.truth, replica, this.subject, entry.accessToken);
        }),
      ),
    );
  }

  #hear(open: Open | undefined, held: Held, message: JSONRPCMessage): boolean {
    const { findings } = this.#world;
    if (open?.isClosed === true) findings.violate("B9", `something was delivered to ${this.subject} after its connection had closed`);
    if (!("result" in message)) return true;
    const { content, isError } = message.result;
    const text = Array.isArray(content) ? JSON.stringify(content) : "";
    if (isError === true) {
      findings.count("tool calls that ended with an error");
      return true;
    }
    findings.count("tool calls answered");
    if (text !== "[]" && !text.includes(`=${this.subject};`))
      findings.violate("R9, B3", `${this.subject} got the answer ${text} on its own connection of login ${held.truth.number}`);
    return true;
  }
}

/** The stable code of an error that a process threw, for counting. */
export function codeOf(error: unknown): string {
  return error instanceof LatchkeyError ? error.code : "foreign error";
}
