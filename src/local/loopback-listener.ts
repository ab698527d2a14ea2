import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { LatchkeyError } from "../errors.ts";
import { type LocalAnswer, writeLocalAnswer } from "./local-page.ts";

/** Answers a GET for a path with its query, as the browser sent them. It never rejects. */
export type LocalHandler = (url: URL) => Promise<LocalAnswer>;

/** A web server for a browser on this machine. */
export interface LoopbackListener {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** Stops. Resolves when the answers that are on their way have left. */
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1, and on ::1 where there is one, since browsers take localhost for either (RFC 8252, section 7.3). `port` 0
 * takes a free one. Throws LatchkeyError `configuration_invalid` when a fixed one cannot be had.
 */
export async function listenOnLoopback(port: number, handler: LocalHandler): Promise<LoopbackListener> {
  const names = new Set<string>();
  const serve = (request: IncomingMessage, response: ServerResponse): void => void answer(request, response, names, handler);
  const first = createServer(serve);
  const taken = await listen(first, "127.0.0.1", port).catch((error: NodeJS.ErrnoException) => {
    const problem = error.code === "EADDRINUSE" ? "is taken, perhaps by another sign-in: finish that one first" : "cannot be had";
    throw new LatchkeyError("configuration_invalid", `The port ${port} of 127.0.0.1, to which the browser comes back, ${problem}.`, {
      cause: error,
    });
  });
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) names.add(`${host}:${taken}`);
  const second = createServer(serve);
  // Without IPv6, or with that port taken there, 127.0.0.1 alone does it.
  const servers = await listen(second, "::1", taken).then(
    () => [first, second],
    () => [first],
  );
  return {
    origin: `http://127.0.0.1:${taken}`,
    close: async () => {
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: true }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  names: ReadonlySet<string>,
  handler: LocalHandler,
): Promise<void> {
  const host = request.headers.host ?? "";
  // Another site may have its name lead here (DNS rebinding): it must get nothing (B12).
  if (!names.has(host.toLowerCase()))
    return await writeLocalAnswer(response, { status: 421, title: "This address is not served", text: [] });
  if (request.method !== "GET") return await writeLocalAnswer(response, { status: 405, title: "This page can only be opened", text: [] });
  const path = request.url ?? "/";
  if (!path.startsWith("/") || !URL.canParse(path, "http://127.0.0.1"))
    return await writeLocalAnswer(response, { status: 400, title: "This address makes no sense", text: [] });
  await writeLocalAnswer(response, await handler(new URL(path, `http://${host}`)));
}
