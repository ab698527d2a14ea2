import { createServer, type RequestListener, type Server } from "node:http";
import { LatchkeyError } from "../errors.ts";

/** An HTTP server on 127.0.0.1 that can stop and come back on the same port. Its caller starts and stops it one at a time. */
export class LoopbackListener {
  readonly #server: Server;
  #port: number;

  /** `port` 0 takes a free one at the first start and keeps it. */
  constructor(port: number, handle: RequestListener) {
    this.#port = port;
    this.#server = createServer(handle);
  }

  /** The real port, once started. */
  get port(): number {
    return this.#port;
  }

  /** Throws LatchkeyError `configuration_invalid` when the port is taken or not allowed. Started already: does nothing. */
  async start(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void => reject(cannotListen(this.#port, cause));
      this.#server.once("error", fail);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#server.off("error", fail);
        resolve();
      });
    });
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  /** Stops listening and cuts every connection, running requests included. Stopped already: does nothing. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function cannotListen(port: number, cause: Error): LatchkeyError {
  const taken = "code" in cause && cause.code === "EADDRINUSE";
  const why = taken ? "another program has it. Stop that program or choose another port" : `${cause.message}. Choose another port`;
  return new LatchkeyError("configuration_invalid", `Port ${port} of 127.0.0.1 cannot be used: ${why}.`, { cause });
}
