import { createServer, type RequestListener } from "node:http";

/** Listens on a free port of loopback. */
export function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  // As Latchkey's: no socket is closed between two slices.
  server.keepAliveTimeout = 75_000;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
