import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { LatchkeyError } from "../errors.ts";
import { ProfileConnection } from "../local/profile-connection.ts";
import type { Logger } from "../logger.ts";
import { Connection } from "../transport/connection.ts";
import { serveStdioConnection } from "../transport/stdio.ts";
import type { Core } from "./core.ts";
import type { LocalSide } from "./local-side.ts";
import { composeServers } from "./servers.ts";

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

/**
 * Serves a profile on stdin and stdout until the input ends. The client is answered at once, whatever the store and the
 * authorization server do; tool calls say what is missing. Throws LatchkeyError `configuration_invalid` when tools cannot be made.
 */
export async function serveStdioProfile(settings: StdioProfileSettings): Promise<void> {
  const { config, profile, loginCommand, clock, logger, env, input, output, signal } = settings;
  // Loaded when it is needed: the client has its first answers by then.
  const open = async (): Promise<LocalSide> => {
    const { openLocalSide } = await import("./local-side.ts");
    return await openLocalSide({ config, clock, logger, env, servers, background: true });
  };
  const side = new LateLocalSide(open, logger);
  const profileConnection = new ProfileConnection({
    profile,
    behind: async () => (await side.open()).behindProfile,
    authorizationServers: Object.entries(config.authorizationServers).map(([name, { loopbackPort }]) => ({ name, loopbackPort })),
    loginCommand,
    clock,
    logger,
  });
  const servers = composeServers({ config, clock, logger, loginLink: () => profileConnection.link }, () => side.mustBeOpen().behindServers);
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
