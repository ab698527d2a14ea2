import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { JSONRPCMessage as ModernMessage, Transport as ModernTransport } from "@modelcontextprotocol/server";
import type { ModernConnection } from "../mcp/modern-servers.ts";
import type { ServerFactory } from "../mcp/server-factory.ts";
import { type ClientMessage, rpcError } from "./message.ts";
import { metaOf } from "./shown-client.ts";

export interface ModernSideOptions {
  readonly connection: ModernConnection;
  readonly servers: Pick<ServerFactory, "modern">;
  /** To the client, as far as the connection lets it through. It may throw: the client cannot be reached. */
  readonly send: (message: JSONRPCMessage) => void;
}

/** Key of a message's `_meta` that says which revision it is written in: with it a message belongs to the modern era. */
const versionKey = "io.modelcontextprotocol/protocolVersion";
/** The one revision of the modern era so far. Another one is refused by the SDK, and settles nothing. */
const modernRevision = "2026-07-28";
const internalErrorCode = -32603;

/**
 * The modern era on the pipe of a stdio connection: the SDK's `serveStdio` with its one server (B2), loaded with the
 * first message that needs it. Which era a pipe speaks is settled by its first message, but that a client may ask
 * `server/discover` and then begin with `initialize` all the same.
 */
export class ModernSide {
  readonly #options: ModernSideOptions;
  #era: "open" | "legacy" | "modern" = "open";
  #loading: Promise<ModernTransport> | undefined;
  #isClosed = false;

  constructor(options: ModernSideOptions) {
    this.#options = options;
  }

  /** Whether a message is for this side. It settles the era: ask once for each message, in their order. */
  takes(item: ClientMessage): boolean {
    if (this.#era !== "open") return this.#era === "modern";
    if (item.kind === "response") return false;
    const version = metaOf(item.message)[versionKey];
    if (version === undefined) {
      this.#era = "legacy";
      return false;
    }
    if (item.kind === "request" && item.message.method !== "server/discover" && version === modernRevision) this.#era = "modern";
    return true;
  }

  /** In the order in which they come, whatever is loaded meanwhile. */
  deliver({ kind, message }: ClientMessage): void {
    void this.#load().then(
      (transport) => transport.onmessage?.(message),
      () => {
        if (kind === "request") this.#answerFailure(message.id);
      },
    );
  }

  /** The stream of this request has ended: the SDK is to forget it. */
  stopListening(requestId: RequestId): void {
    void this.#loading?.then(
      (transport) => transport.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } }),
      () => {},
    );
  }

  close(): void {
    this.#isClosed = true;
    void this.#loading?.then(
      (transport) => transport.onclose?.(),
      () => {},
    );
  }

  #load(): Promise<ModernTransport> {
    this.#loading ??= this.#loadNow();
    return this.#loading;
  }

  async #loadNow(): Promise<ModernTransport> {
    const { servers, connection, send } = this.#options;
    const [{ serveStdio }, modern] = await Promise.all([import("@modelcontextprotocol/server/stdio"), servers.modern()]);
    const transport: ModernTransport = {
      start: async () => {},
      send: async (message: ModernMessage) => {
        if (!this.#isClosed) send(message);
      },
      // The pipe is the connection's: it closes it.
      close: async () => {},
    };
    serveStdio(() => modern.create(connection), { legacy: "reject", transport });
    return transport;
  }

  #answerFailure(id: RequestId): void {
    this.#options.send({ ...rpcError(id, internalErrorCode, "The modern era cannot be served. Begin with initialize."), id });
  }
}
