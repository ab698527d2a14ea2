import type { IncomingMessage, ServerResponse } from "node:http";
import type { Credential } from "../session/authenticator.ts";

/** A request for MCP whose Host, Origin and credential have been checked. */
export interface McpRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The path without the query. */
  readonly path: string;
  /** What stands behind the question mark; empty without one. */
  readonly query: string;
  readonly credential: Credential;
}

/**
 * One way to speak MCP over HTTP. It owns its paths and verbs; `McpHttp` has looked at Host, Origin, credential, path
 * and verb before it is asked. It finds and opens connections through the gate alone, which checks the binding.
 */
export interface HttpTransport {
  /** Its paths, with the verbs that each takes. */
  readonly routes: ReadonlyMap<string, readonly string[]>;
  /** Whether pages of the configured foreign origins may use it. */
  readonly allowsCors: boolean;
  /** Answers the request. */
  handle(request: McpRequest): Promise<void>;
}
