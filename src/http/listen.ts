import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly clock: Clock;
  /** PEM. Undefined: plain http. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

/** A server that listens. Its address is known before what it serves is made, since that needs the address. */
export interface Listener {
  readonly port: number;
  /** `http://127.0.0.1:8420`. */
  readonly url: string;
  /** Serves with `handler` from now on. Requests that come before are answered with 503. */
  serve(handler: Handler): void;
  /** Takes no new connections, lets running requests finish for `graceMs`, then cuts what is left, and says whether anything was. Twice gives the same promise. */
  close(graceMs: number): Promise<{ readonly cut: boolean }>;
}

/**
 * Listens with timeouts against slow clients; streams that have begun may last.
 * Throws LatchkeyError `configuration_invalid` when the address cannot be had, with the way out.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, clock, tls } = options;
  let closing: Promise<{ readonly cut: boolean }> | undefined;
  let handler: Handler = (_request, response) => {
    response.writeHead(503, { "retry-after": "1" });
    response.end();
  };
  const unused = new Set<Socket>();
  const serve: Handler = (request, response) => {
    unused.delete(request.socket);
    // A connection that outlives the answer of its last request would hold up the end.
    if (closing !== undefined) response.setHeader("connection", "close");
    response.once("close", () => closing !== undefined && setImmediate(() => server.closeIdleConnections()));
    handler(request, response);
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.headersTimeout = 20_000;
  // The time to receive a whole request, not to answer it.
  server.requestTimeout = 60_000;
  // Longer than the usual idle time of a proxy in front, which would otherwise use a connection that is just closing.
  server.keepAliveTimeout = 75_000;
  server.maxRequestsPerSocket = 0;
  const port = await startListening(server, options);
  return {
    port,
    url: `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    serve: (next) => {
      handler = next;
    },
    close: (graceMs) => {
      closing ??= closeServer(server, clock, graceMs);
      // Browsers open connections in advance; node does not count one as idle before its first request.
      for (const socket of unused) socket.destroy();
      return closing;
    },
  };
}

function startListening(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function closeServer(server: Server, clock: Clock, graceMs: number): Promise<{ readonly cut: boolean }> {
  return new Promise((resolve) => {
    let cut = false;
    const limit = clock.schedule(graceMs, () => {
      cut = true;
      server.closeAllConnections();
    });
    server.close(() => {
      limit.cancel();
      resolve({ cut });
    });
    server.closeIdleConnections();
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): LatchkeyError {
  const text: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is taken by another program. Stop that one, or choose another port with --port (--port 0 takes a free one).`,
    EACCES: `This user may not listen on port ${port} of ${host}. Choose a port above 1023 with --port.`,
    EADDRNOTAVAIL: `This machine has no address ${host}. Choose another with --host, for example 127.0.0.1.`,
    ENOTFOUND: `The name ${host} is not known to this machine. Choose another with --host, for example 127.0.0.1.`,
  };
  const message = text[error.code ?? ""] ?? `Listening on port ${port} of ${host} is not possible (${error.code ?? "unknown cause"}).`;
  return new LatchkeyError("configuration_invalid", message, { cause: error });
}
