import { createHash } from "node:crypto";
import { Socket } from "node:net";
import { type ClientConfig, escapeIdentifier, Pool, type PoolClient } from "pg";
import { type Clock, sleep } from "../../clock.ts";
import { LatchkeyError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { breaksConnection, storeError } from "./postgres-errors.ts";
import type { PostgresRow } from "./postgres-values.ts";

/** What a statement may be given. */
export type PostgresValue = string | number | boolean | null | readonly string[] | readonly number[];

/** Runs statements, in a transaction or each by itself. Everything throws LatchkeyError. */
export interface PostgresStatements {
  all(text: string, ...values: readonly PostgresValue[]): Promise<readonly PostgresRow[]>;
  /** The first row. */
  get(text: string, ...values: readonly PostgresValue[]): Promise<PostgresRow | undefined>;
  /** Gives how many rows it wrote. */
  run(text: string, ...values: readonly PostgresValue[]): Promise<number>;
}

export interface PostgresDatabaseOptions {
  readonly connection: ClientConfig;
  readonly schema: string;
  readonly maxConnections: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is still under way when the store is closed has so long to end. */
const closePatienceMs = 1_000;

/** The connections to one PostgreSQL database. Errors are LatchkeyErrors; one that breaks a connection lets the next call make another. */
export class PostgresDatabase implements PostgresStatements {
  /** The schema's name, quoted, to stand before a table's. */
  readonly schema: string;
  /** Called when a connection was made: the server may be another one. */
  onConnected: () => void = () => {};
  readonly #pool: Pool;
  readonly #schemaName: string;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor({ connection, schema, maxConnections, clock, logger }: PostgresDatabaseOptions) {
    this.schema = escapeIdentifier(schema);
    this.#schemaName = schema;
    this.#clock = clock;
    this.#pool = new Pool({
      ...connection,
      stream: () => this.#newSocket(),
      max: maxConnections,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true,
    });
    this.#pool.on("connect", (client) => {
      // While a client is in use its statements reject when it breaks; the event, unheard, would end the process as well.
      client.on("error", () => {});
      this.onConnected();
    });
    // Of a connection that nobody uses at the moment. Unheard, it would end the process.
    this.#pool.on("error", (error) =>
      logger.warn("A connection to the store's server broke; another is made when it is needed.", { error }),
    );
  }

  async all(text: string, ...values: readonly PostgresValue[]): Promise<readonly PostgresRow[]> {
    return (await this.#use((client) => ask(client, text, values))).rows;
  }

  async get(text: string, ...values: readonly PostgresValue[]): Promise<PostgresRow | undefined> {
    return (await this.all(text, ...values))[0];
  }

  async run(text: string, ...values: readonly PostgresValue[]): Promise<number> {
    return (await this.#use((client) => ask(client, text, values))).rowCount ?? 0;
  }

  /** Runs `work` in one transaction; what it throws undoes all of it. It must wait for nothing but its statements. */
  transaction<T>(work: (statements: PostgresStatements) => Promise<T>, timeoutMs?: number): Promise<T> {
    return this.#use(async (client) => {
      await ask(client, "BEGIN", []);
      try {
        if (timeoutMs !== undefined) await ask(client, `SET LOCAL statement_timeout = ${timeoutMs}`, []);
        const result = await work(statementsOf(client, timeoutMs));
        await ask(client, "COMMIT", []);
        return result;
      } catch (error) {
        if (!isBroken(error)) await ask(client, "ROLLBACK", []);
        throw error;
      }
    });
  }

  /** The number of the advisory lock that stands for `value`, in this schema. */
  lockNumber(purpose: string, value = ""): string {
    const digest = createHash("sha256").update(JSON.stringify([this.#schemaName, purpose, value]));
    return digest.digest().readBigInt64BE().toString();
  }

  /** Lets what is under way end, for a moment. Twice does the same once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const ended = Promise.allSettled([...this.#running]).then(() => this.#pool.end());
    const late = new AbortController();
    await Promise.race([ended, sleep(this.#clock, closePatienceMs, late.signal)]);
    late.abort();
    // A server that is gone answers no goodbye.
    for (const socket of this.#sockets) socket.destroy();
  }

  #use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(new LatchkeyError("store_unavailable", "The store is closed."));
    const running = this.#useOne(work);
    this.#running.add(running);
    const done = (): void => void this.#running.delete(running);
    running.then(done, done);
    return running;
  }

  async #useOne<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw storeError(error);
    });
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = isBroken(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  #newSocket(): Socket {
    const socket = new Socket();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}

function statementsOf(client: PoolClient, timeoutMs: number | undefined): PostgresStatements {
  const rows = async (text: string, values: readonly PostgresValue[]) => (await ask(client, text, values, timeoutMs)).rows;
  return {
    all: (text, ...values) => rows(text, values),
    get: async (text, ...values) => (await rows(text, values))[0],
    run: async (text, ...values) => (await ask(client, text, values, timeoutMs)).rowCount ?? 0,
  };
}

async function ask(client: PoolClient, text: string, values: readonly PostgresValue[], timeoutMs?: number) {
  try {
    // The driver waits a little longer than the server works.
    const query = { text, values: [...values], ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs + 500 }) };
    return await client.query<PostgresRow>(query);
  } catch (error) {
    throw storeError(error);
  }
}

/** A connection with an error that the server did not answer with is in no state that we know. */
function isBroken(error: unknown): boolean {
  return error instanceof LatchkeyError && error.cause !== undefined && breaksConnection(error.cause);
}
