import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { type Clock, sleep } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { LoginSessionId } from "../session/login-session.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionRegistry } from "./connection-registry.ts";
import { type Line, LineReader } from "./line-reader.ts";
import { parseMessages, rpcCodes, rpcError } from "./message.ts";
import type { Wire } from "./wire.ts";

export interface StdioStreams {
  /** Usually stdin and stdout. Nothing else may write to `output`. */
  readonly input: Readable;
  readonly output: Writable;
  readonly clock: Clock;
  /** The longest message. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** How long running calls may take after the end of the input. Default 10. */
  readonly drainSeconds?: number | undefined;
  /** Ends it as the end of the input does. */
  readonly signal?: AbortSignal | undefined;
}

export interface StdioOptions extends StdioStreams {
  readonly registry: ConnectionRegistry;
  readonly loginSessionId: LoginSessionId;
}

/** While so much waits for a client that does not read, nothing more is read from it. */
const outputHighWaterBytes = 1024 * 1024;

/**
 * Serves MCP on a pair of streams, one JSON-RPC message a line: one connection, bound to one login session, which it
 * outlives (its tools then say that it has ended). Resolves when the input has ended, running calls are answered or
 * the time is up, and all is written. Rejects with LatchkeyError `login_ended` when there is no such login session,
 * `rate_limited` when there are too many connections, or `store_unavailable`.
 */
export async function serveStdio(options: StdioOptions): Promise<void> {
  const { output, registry } = options;
  const wire = new StdioWire(output);
  const outcome = await registry.open({
    transport: "stdio",
    loginSessionId: options.loginSessionId,
    survivesEnd: true,
    makeWire: () => wire,
  });
  switch (outcome.kind) {
    case "login_ended":
    case "login_required":
    case "key_removed":
      throw new LatchkeyError("login_ended", "There is no such login session. Sign in first.");
    case "full":
    case "login_session_full":
    case "closing":
      throw new LatchkeyError("rate_limited", "No more connections are taken.", { retryable: true });
    case "opened":
      break;
  }
  await serveConnection(options, outcome.connection, wire);
}

/**
 * As `serveStdio`, for a connection that is made for it and waits for nothing: it may have no login session yet. Never
 * rejects.
 */
export async function serveStdioConnection(streams: StdioStreams, open: (makeWire: () => Wire) => Connection): Promise<void> {
  const wire = new StdioWire(streams.output);
  await serveConnection(
    streams,
    open(() => wire),
    wire,
  );
}

async function serveConnection(options: StdioStreams, connection: Connection, wire: StdioWire): Promise<void> {
  const { input, clock } = options;
  await readToEnd(options, connection, wire);
  const stop = new AbortController();
  await Promise.race([connection.settled(), sleep(clock, (options.drainSeconds ?? 10) * 1000, stop.signal)]);
  stop.abort();
  connection.close("client");
  input.pause();
  await wire.flushed();
}

/** Resolves at the end of the input, when either stream breaks, when the connection closes, or when the signal says so. */
function readToEnd(
  { input, output, signal, maxMessageBytes = 4 * 1024 * 1024 }: StdioStreams,
  connection: Connection,
  wire: StdioWire,
): Promise<void> {
  const reader = new LineReader(maxMessageBytes);
  return new Promise((resolve) => {
    const take = (lines: readonly Line[]): void => {
      for (const line of lines) takeLine(line, connection, wire, maxMessageBytes);
      if (!connection.isOpen) finish();
    };
    const onData = (chunk: Buffer | string): void => {
      take(reader.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk));
      if (output.writableLength > outputHighWaterBytes) {
        input.pause();
        output.once("drain", () => input.resume());
      }
    };
    const onEnd = (): void => {
      take(reader.end());
      finish();
    };
    const finish = (): void => {
      input.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", finish);
      output.off("close", finish);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    // For good, not until the end: a pipe may break while the last answers are written.
    output.on("error", finish);
    output.on("close", finish);
    input.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", finish);
    signal?.addEventListener("abort", finish, { once: true });
    wire.onClose = finish;
    if (signal?.aborted || input.readableEnded || input.destroyed) finish();
  });
}

function takeLine(line: Line, connection: Connection, wire: StdioWire, limitBytes: number): void {
  if (line.kind === "too_long") {
    wire.write(
      rpcError(null, rpcCodes.invalidRequest, `A message may have at most ${limitBytes} bytes. This one was longer and was not read.`),
    );
    return;
  }
  const parsed = parseMessages(line.text);
  if (parsed.kind === "invalid") {
    wire.write(rpcError(parsed.id, parsed.code, parsed.problem));
    return;
  }
  if (parsed.isBatch && connection.protocolVersion !== "2025-03-26") {
    wire.write(rpcError(null, rpcCodes.invalidRequest, "Only MCP 2025-03-26 allows several messages at once. Send them one by one."));
    return;
  }
  const taken = connection.takenId(parsed.messages);
  if (taken !== undefined) {
    // Without the id: on this one way an error with it would be read as the first call's answer (F49).
    const problem = `A request with the id ${JSON.stringify(taken)} is still running on this connection. Use another id.`;
    wire.write(rpcError(null, rpcCodes.invalidRequest, problem, { id: taken }));
    return;
  }
  connection.accept(undefined);
  connection.deliver(parsed.messages);
}

/** The wire of the stdio connection: one line a message. */
class StdioWire implements Wire {
  readonly #output: Writable;
  readonly holdsStream = true;
  onClose: (() => void) | undefined;

  constructor(output: Writable) {
    this.#output = output;
  }

  /** False: nobody reads any more. */
  write(message: object): boolean {
    if (!this.#output.writable) return false;
    this.#output.write(`${JSON.stringify(message)}\n`);
    return true;
  }

  /** Resolves when everything is written or nothing can be. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#output.writable) return resolve();
      this.#output.once("close", resolve);
      this.#output.write("", () => resolve());
    });
  }

  send(message: JSONRPCMessage): boolean {
    return this.write(message);
  }

  drop(): void {}

  keepAlive(): void {}

  endStreams(): void {}

  close(): void {
    this.onClose?.();
  }
}
