import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** A request as it arrived, the form of its body included. */
export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly form: URLSearchParams;
  /** The port that it came from: the same for two requests on one connection. */
  readonly remotePort: number | undefined;
}

export type ScriptedHandler = (request: ScriptedRequest, response: ServerResponse) => unknown;

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly publicJwk: JWK;
  readonly privateKey: Parameters<SignJWT["sign"]>[0];
}

export async function newSigningKey(alg = "ES256", kid = `key-${alg}`): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

/**
 * An authorization server of which every answer can be scripted. It has a discovery document and a key set of its own;
 * each other path answers 404 until a handler is set. `path` may be prefixed by the issuer's path.
 */
export class ScriptedAuthorizationServer {
  readonly requests: ScriptedRequest[] = [];
  /** Connections that were ever accepted. */
  connections = 0;
  readonly #server: Server;
  readonly #handlers = new Map<string, ScriptedHandler>();
  readonly #waiting: { readonly path: string; readonly arrived: (request: ScriptedRequest) => void }[] = [];
  readonly origin: string;
  readonly issuer: string;
  key: SigningKey;
  /** Answers carry no `Date`. */
  hideDate = false;
  /** Members that the discovery document has beyond, or instead of, its own; undefined removes one. */
  document: Record<string, unknown> = {};

  constructor(server: Server, key: SigningKey, issuerPath: string) {
    this.#server = server;
    this.key = key;
    const { port } = server.address() as AddressInfo;
    this.origin = `http://127.0.0.1:${port}`;
    this.issuer = `${this.origin}${issuerPath}`;
    this.on(`${issuerPath.replace(/\/$/, "")}/.well-known/openid-configuration`, (_request, response) =>
      sendJson(response, 200, this.discoveryDocument()),
    );
    this.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [this.key.publicJwk] }));
    server.on("connection", () => {
      this.connections += 1;
    });
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(options: { readonly issuerPath?: string; readonly key?: SigningKey } = {}): Promise<ScriptedAuthorizationServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ScriptedAuthorizationServer(server, options.key ?? (await newSigningKey()), options.issuerPath ?? "");
  }

  on(path: string, handler: ScriptedHandler): void {
    this.#handlers.set(path, handler);
  }

  /** Answers the token endpoint with a 200 and this body. */
  onToken(body: Readonly<Record<string, unknown>>): void {
    this.on("/token", (_request, response) => sendJson(response, 200, body));
  }

  to(path: string): readonly ScriptedRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  /** The first request to `path`, once it has arrived. */
  arrival(path: string): Promise<ScriptedRequest> {
    const earlier = this.to(path)[0];
    return earlier === undefined ? this.next(path) : Promise.resolve(earlier);
  }

  /** The next request to `path`, whatever has arrived before. */
  next(path: string): Promise<ScriptedRequest> {
    return new Promise((arrived) => this.#waiting.push({ path, arrived }));
  }

  discoveryDocument(): Record<string, unknown> {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.origin}/authorize`,
      token_endpoint: `${this.origin}/token`,
      revocation_endpoint: `${this.origin}/revoke`,
      introspection_endpoint: `${this.origin}/introspect`,
      userinfo_endpoint: `${this.origin}/userinfo`,
      end_session_endpoint: `${this.origin}/end-session`,
      jwks_uri: `${this.origin}/jwks`,
      ...this.document,
    };
  }

  /** A signed ID token. Claims that are undefined are left out. */
  async idToken(
    claims: JWTPayload = {},
    options: { readonly key?: SigningKey; readonly header?: Record<string, unknown> } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const key = options.key ?? this.key;
    const all = { iss: this.issuer, sub: "alice", aud: "client-1", iat: now, exp: now + 300, ...claims };
    return await new SignJWT(all).setProtectedHeader({ alg: key.alg, kid: key.kid, ...options.header }).sign(key.privateKey);
  }

  /** From now on connections are refused, as if the process were gone. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? "/", this.origin);
    const scripted: ScriptedRequest = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      form: new URLSearchParams(Buffer.concat(chunks).toString()),
      remotePort: request.socket.remotePort,
    };
    this.requests.push(scripted);
    for (const waiter of this.#waiting.filter(({ path }) => path === scripted.path)) waiter.arrived(scripted);
    response.sendDate = !this.hideDate;
    const handler = this.#handlers.get(url.pathname);
    if (handler === undefined) sendJson(response, 404, { error: "not_found" });
    else await handler(scripted, response);
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string | string[]> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

export function sendText(response: ServerResponse, status: number, body: string, headers: Record<string, string | string[]> = {}): void {
  response.writeHead(status, headers).end(body);
}
