import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import { ProfileConnection } from "../local/profile-connection.ts";
import type { Logger } from "../logger.ts";
import { Connection } from "../transport/connection.ts";
import { serveStdio, serveStdioConnection } from "../transport/stdio.ts";
import { type Core, composeCore, composeServers } from "./core.ts";
import { demoConfig, signInAtDemo, startDemoSurroundings } from "./demo.ts";
import { behindProfile, type LocalSide, openLocalSide } from "./local-side.ts";
import { openMemoryStore } from "./open-store.ts";

export interface StdioDemoSettings {
  readonly user: string;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  readonly heartbeatIntervalSeconds: number;
  readonly log: Config["log"];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

export interface StdioProfileSettings {
  /** Checked. */
  readonly config: Config;
  readonly profile: string;
  /** What a user types in a terminal to sign in. */
  readonly loginCommand: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/** So long after the start the store is opened at the latest: first the client gets its answers, which need none. */
const openStoreAfterMs = 500;
/** How long running calls, and then running refreshes, may take at the end. */
const drainSeconds = 10;

/** Serves the demo on stdin and stdout, signed in as one user, until the input ends. Free ports, nothing kept. */
export async function serveStdioDemo(settings: StdioDemoSettings): Promise<void> {
  const { user, clock, logger, input, output, signal } = settings;
  const demo = { ...settings, port: 0, stateDirectory: undefined };
  const surroundings = await startDemoSurroundings(demo);
  try {
    // Nobody listens there: the scripted browser stops before it.
    const redirectUri = "http://127.0.0.1/login/callback";
    surroundings.authorizationServer.register({ redirectUris: [redirectUri] });
    const core = composeCore({
      config: demoConfig(demo, surroundings),
      opened: openMemoryStore(clock),
      clock,
      logger,
      loginLink: () => undefined,
    });
    const login = await signInAtDemo(core, user, redirectUri);
    await serveStdio({ input, output, registry: core.registry, loginSessionId: login.id, clock, drainSeconds, signal });
    void core.heartbeat.stop();
    await core.close(drainSeconds * 1000);
  } finally {
    await surroundings.close();
  }
}

/**
 * Serves a profile on stdin and stdout until the input ends. The client is answered at once, whatever the store and the
 * authorization server do; tool calls say what is missing. Throws LatchkeyError `configuration_invalid` when tools cannot be made.
 */
export async function serveStdioProfile(settings: StdioProfileSettings): Promise<void> {
  const { config, profile, loginCommand, clock, logger, env, input, output, signal } = settings;
  const side = new LateLocalSide(async () => await openLocalSide({ config, clock, logger, env, servers, background: true }), logger);
  const profileConnection = new ProfileConnection({
    profile,
    behind: async () => behindProfile(await side.open()),
    authorizationServers: Object.entries(config.authorizationServers).map(([name, { loopbackPort }]) => ({ name, loopbackPort })),
    loginCommand,
    clock,
    logger,
  });
  const servers = composeServers({ config, clock, logger, loginLink: () => profileConnection.link }, () => side.mustBeOpen());
  const opening = clock.schedule(openStoreAfterMs, () => void side.open().catch(() => {}));
  await serveStdioConnection({ input, output, clock, drainSeconds, signal }, (makeWire) => {
    const connection = new Connection({
      transport: "stdio",
      login: undefined,
      admit: (tool) => profileConnection.admit(tool),
      credential: undefined,
      survivesEnd: true,
      makeWire,
      servers,
      clock,
      clients: (id) => side.core?.registry.clientsOf(id) ?? [],
      onClosed: (closed, reason) => side.core?.registry.leave(closed, reason),
    });
    profileConnection.attach(connection);
    return connection;
  });
  opening.cancel();
  profileConnection.close();
  await side.close();
}

/** The local side, opened when it is first needed. A store that could not be opened is tried again at the next need. */
class LateLocalSide {
  readonly #open: () => Promise<LocalSide>;
  readonly #logger: Logger;
  #opening: Promise<LocalSide> | undefined;
  #core: Core | undefined;

  constructor(open: () => Promise<LocalSide>, logger: Logger) {
    this.#open = open;
    this.#logger = logger;
  }

  /** Undefined: it is not open yet. */
  get core(): Core | undefined {
    return this.#core;
  }

  /** Only after `open`: then nothing but a mistake of ours can make it throw. */
  mustBeOpen(): Core {
    if (this.#core === undefined) throw new LatchkeyError("internal_error", "The store is not open yet.");
    return this.#core;
  }

  open(): Promise<LocalSide> {
    this.#opening ??= this.#opened();
    return this.#opening;
  }

  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    void this.#core?.heartbeat.stop();
    await this.#core?.close(drainSeconds * 1000);
  }

  async #opened(): Promise<LocalSide> {
    try {
      const side = await this.#open();
      this.#core = side.core;
      // What an earlier process left behind comes first.
      await side.core.ready;
      return side;
    } catch (error) {
      this.#opening = undefined;
      this.#logger.error("The store cannot be used. It is tried again at the next call.", { error });
      throw error;
    }
  }
}
