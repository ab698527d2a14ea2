import type { IncomingMessage, ServerResponse } from "node:http";
import type { McpAuthorizationServer } from "../authorization-server/mcp-authorization-server.ts";
import { asLatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { HostVerdict } from "../transport/host-check.ts";
import { problemOf } from "./problem.ts";
import { securityHeaders } from "./security-headers.ts";

const preflightHeaders = {
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": "authorization, content-type, accept, mcp-protocol-version",
  "access-control-max-age": "7200",
};

/**
 * The endpoints of the authorization server of MCP clients and the metadata of the protected resource, on node:http. Host and
 * Origin were looked at before; pages of the configured foreign origins may use all of it but the authorization endpoint.
 */
export class AuthorizationServerPaths {
  readonly #server: McpAuthorizationServer;
  readonly #logger: Logger;
  readonly #documents: ReadonlyMap<string, string>;

  constructor(server: McpAuthorizationServer, logger: Logger) {
    this.#server = server;
    this.#logger = logger;
    this.#documents = new Map([...server.resourceDocuments].map(([path, document]) => [path, JSON.stringify(document)]));
  }

  handles(pathname: string): boolean {
    return this.#documents.has(pathname) || this.#server.handles(pathname);
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse, pathname: string, origin: AllowedOrigin): Promise<void> {
    for (const [name, value] of Object.entries(securityHeaders([]))) response.setHeader(name, value);
    try {
      if (origin === "cors" && this.#shareWithPage(request, response, pathname)) return;
      // What it says of other origins is said here.
      delete request.headers.origin;
      const document = this.#documents.get(pathname);
      if (document === undefined) await this.#server.handle(request, response);
      else sendDocument(request, response, document);
    } catch (thrown) {
      const error = asLatchkeyError(thrown);
      this.#logger.warn("A request to the authorization server of MCP clients failed.", { code: error.code, error });
      if (response.headersSent) return void response.destroy();
      const { status, headers, document } = problemOf(error);
      response.writeHead(status, headers);
      response.end(JSON.stringify(document));
    }
  }

  /** True: answered. */
  #shareWithPage(request: IncomingMessage, response: ServerResponse, pathname: string): boolean {
    response.setHeader("vary", "origin");
    response.setHeader("cross-origin-resource-policy", "cross-origin");
    if (pathname.startsWith("/oauth/authorize")) {
      response.writeHead(403).end();
      return true;
    }
    response.setHeader("access-control-allow-origin", request.headers.origin ?? "");
    response.setHeader("access-control-expose-headers", "www-authenticate, retry-after");
    if (request.method !== "OPTIONS") return false;
    response.writeHead(204, preflightHeaders).end();
    return true;
  }
}

type AllowedOrigin = Extract<HostVerdict, { readonly kind: "allowed" }>["origin"];

function sendDocument(request: IncomingMessage, response: ServerResponse, document: string): void {
  if (request.method !== "GET" && request.method !== "HEAD") return void response.writeHead(405, { allow: "GET, HEAD" }).end();
  response.writeHead(200, {
    "content-type": "application/json",
    "cache-control": "public, max-age=300",
    "content-length": Buffer.byteLength(document),
  });
  response.end(request.method === "HEAD" ? undefined : document);
}
