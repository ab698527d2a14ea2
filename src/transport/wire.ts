import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";

/**
 * The one interface of a transport towards the rest: how the messages of a connection reach its client. A transport
 * consists of a wire for each connection and of something that opens connections (`ConnectionRegistry.open`) and
 * hands them what the client sends (`Connection.takenId`, `Connection.deliver`). Identity, limits, running calls and
 * the end of a login session are the connection's; a wire knows bytes and streams only.
 */
export interface Wire {
  /**
   * Writes one message, or throws it away when there is no way to the client; false then. `about`: the request of the
   * client that it answers or belongs to; undefined: none. It never throws.
   */
  send(message: JSONRPCMessage, about: RequestId | undefined): boolean;
  /** That request gets no answer: what is held open for it alone ends. */
  drop(id: RequestId): void;
  /** Whether a stream to the client is open: the connection is in use then, however silent. */
  readonly holdsStream: boolean;
  /** Called every `keepAliveSeconds`: shows the client, and everything between, that open streams live. */
  keepAlive(): void;
  /** The right to open streams has run out: ends them. The connection itself may live on. */
  endStreams(): void;
  /** Ends everything at once, but for the way of the answers to `kept`, which ends with the last of them. */
  close(kept: ReadonlySet<RequestId>): void;
}
