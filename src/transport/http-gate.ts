import type { IncomingMessage, ServerResponse } from "node:http";
import type { Audit } from "../audit/audit.ts";
import { asLatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { TransportKind } from "../mcp/served-connection.ts";
import type { Authenticator, Credential } from "../session/authenticator.ts";
import type { LoginSession, LoginSessionId } from "../session/login-session.ts";
import type { ClientAddress } from "./client-address.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionRegistry } from "./connection-registry.ts";
import { sendProblem, sendRpcError } from "./http-answers.ts";
import type { McpRequest } from "./http-transport.ts";
import { type ClientMessage, type ParsedMessages, parseMessages, rpcCodes } from "./message.ts";
import { readBody } from "./request-body.ts";
import type { Wire } from "./wire.ts";

export interface HttpGateOptions {
  readonly registry: ConnectionRegistry;
  readonly authenticator: Authenticator;
  readonly loginSessions: { get(id: LoginSessionId): Promise<LoginSession | undefined> };
  /** What a client that was refused at this path is told of how to sign in. Undefined: nothing. */
  readonly challenge?: Challenge | undefined;
  readonly maxBodyBytes: number;
  readonly clientAddress: ClientAddress;
  readonly logger: Logger;
  readonly audit: Audit;
}

/** Where OAuth clients find out how to sign in (RFC 9728, section 5.1), and the scope that they have to ask for. */
export type Challenge = (path: string) => { readonly resourceMetadata: string; readonly scope: string };

const jsonContent = /^application\/json\s*(;|$)/i;

/**
 * Who may do what over HTTP: authenticates each request by itself (B4), lets a credential reach the connections of its
 * own login session alone, and reads bodies within the limit. Each method that gives undefined has answered.
 */
export class HttpGate {
  readonly #options: HttpGateOptions;

  constructor(options: HttpGateOptions) {
    this.#options = options;
  }

  async authenticate(request: IncomingMessage, response: ServerResponse): Promise<Credential | undefined> {
    try {
      const authentication = await this.#options.authenticator.authenticate(request.headers.authorization);
      switch (authentication.kind) {
        case "authenticated":
          return authentication.credential;
        case "missing":
          this.#unauthorized(request, response, undefined);
          return undefined;
        case "invalid":
          this.#unauthorized(request, response, authentication.problem);
          return undefined;
      }
    } catch (error) {
      this.#unavailable(response, error);
      return undefined;
    }
  }

  /**
   * The connection with this id, if it is bound to the credential's login session. For any other the same 404 as for
   * an unknown id (B4), and an audit event; 401 when the credential's own login session has ended.
   */
  async find(transport: TransportKind, id: string, mcp: McpRequest): Promise<Connection | undefined> {
    const { request, response, credential } = mcp;
    const connection = this.#options.registry.find(transport, id);
    if (connection?.binding?.loginSessionId === credential.loginSessionId) {
      if (this.stillOpen(connection, mcp)) return connection;
      return undefined;
    }
    // Looked up for an unknown id as well: how long the answer takes must not tell the two apart.
    const presenter = await this.#options.loginSessions.get(credential.loginSessionId).catch((error: unknown) => {
      this.#unavailable(response, error);
      return undefined;
    });
    if (connection !== undefined)
      this.#options.audit.record({
        event: "foreign_connection_access",
        login: connection.binding?.handle,
        presentedLogin: presenter?.handle,
        transport,
        connection: connection.label,
        method: request.method,
        address: this.#options.clientAddress(request),
      });
    if (response.headersSent) return undefined;
    if (presenter === undefined || presenter.state === "ended") this.#unauthorized(request, response, endedProblem);
    else this.#notFound(response);
    return undefined;
  }

  /** False, and answered: the connection has closed since it was found, or the key was removed since the request came. */
  stillOpen(connection: Connection, mcp: McpRequest): boolean {
    if (!this.mayUse(connection.login.current(), mcp)) return false;
    if (connection.isOpen) return true;
    this.#notFound(mcp.response);
    return false;
  }

  /** Opens a connection that is bound to the credential's login session. */
  async open(
    transport: TransportKind,
    { request, response, credential }: McpRequest,
    makeWire: (connection: Connection) => Wire,
  ): Promise<Connection | undefined> {
    const { loginSessionId } = credential;
    try {
      const address = this.#options.clientAddress(request);
      const outcome = await this.#options.registry.open({ transport, loginSessionId, credential, address, makeWire });
      switch (outcome.kind) {
        case "opened":
          return outcome.connection;
        case "login_ended":
          this.#unauthorized(request, response, endedProblem);
          return undefined;
        case "login_required":
          this.#unauthorized(request, response, requiredProblem);
          return undefined;
        case "key_removed":
          this.#unauthorized(request, response, removedProblem);
          return undefined;
        case "full":
          this.full(response, outcome.retryAfterSeconds);
          return undefined;
        case "login_session_full":
          this.loginSessionFull(response, outcome.retryAfterSeconds);
          return undefined;
        case "closing":
          this.shuttingDown(response);
          return undefined;
      }
    } catch (error) {
      this.#unavailable(response, error);
      return undefined;
    }
  }

  /** The body's size and JSON are checked. */
  async readMessages(mcp: McpRequest): Promise<{ readonly messages: readonly ClientMessage[]; readonly isBatch: boolean } | undefined> {
    const text = await this.readText(mcp);
    return text === undefined ? undefined : this.parse(mcp, text);
  }

  /** The body, within the limit. */
  async readText({ request, response }: McpRequest): Promise<string | undefined> {
    const { maxBodyBytes } = this.#options;
    const body = await readBody(request, maxBodyBytes);
    switch (body.kind) {
      case "aborted":
        response.destroy();
        return undefined;
      case "too_large":
        sendProblem(response, {
          status: 413,
          title: "Content Too Large",
          code: "payload_too_large",
          detail: `A message may have at most ${maxBodyBytes} bytes (${describeMiB(maxBodyBytes)}). This one is larger and was not read.`,
        });
        return undefined;
      case "text":
        return body.text;
    }
  }

  parse({ response }: McpRequest, text: string): { readonly messages: readonly ClientMessage[]; readonly isBatch: boolean } | undefined {
    const parsed: ParsedMessages = parseMessages(text);
    if (parsed.kind === "messages") return parsed;
    sendRpcError(response, 400, { id: parsed.id, rpcCode: parsed.code, message: parsed.problem, code: "invalid_request" });
    return undefined;
  }

  /** Whether the request says that its body is JSON. */
  hasJsonContent({ request, response }: McpRequest): boolean {
    if (jsonContent.test(request.headers["content-type"] ?? "")) return true;
    sendProblem(response, {
      status: 415,
      title: "Unsupported Media Type",
      code: "invalid_request",
      detail: "Send the message as JSON, with Content-Type: application/json.",
    });
    return false;
  }

  /**
   * Whether all ids of requests are free. The refusal goes to the request that came second, by its own response; the
   * first call is not touched (F49).
   */
  hasFreeIds(connection: Connection, messages: readonly ClientMessage[], response: ServerResponse): boolean {
    const taken = connection.takenId(messages);
    if (taken === undefined) return true;
    sendRpcError(response, 400, {
      id: taken,
      rpcCode: rpcCodes.invalidRequest,
      message: `A request with the id ${JSON.stringify(taken)} is still running on this connection. Use another id.`,
      code: "invalid_request",
    });
    return false;
  }

  full(response: ServerResponse, retryAfterSeconds: number): void {
    sendProblem(
      response,
      {
        status: 503,
        title: "Service Unavailable",
        code: "rate_limited",
        detail: "This server has as many connections as it takes. Try again later.",
      },
      { "retry-after": String(retryAfterSeconds) },
    );
  }

  loginSessionFull(response: ServerResponse, retryAfterSeconds: number): void {
    sendProblem(
      response,
      {
        status: 429,
        title: "Too Many Requests",
        code: "rate_limited",
        detail: "This login session has as many connections in use as it may have. Close one.",
      },
      { "retry-after": String(retryAfterSeconds) },
    );
  }

  /** False, and answered: a login session in this state takes no request of this credential, or the key was removed meanwhile. */
  mayUse(login: LoginSession | undefined, { request, response, credential }: McpRequest): login is LoginSession {
    if (this.#options.registry.isKeyRemoved(credential)) this.#unauthorized(request, response, removedProblem);
    else if (login === undefined || login.state === "ended") this.#unauthorized(request, response, endedProblem);
    // Such a client can sign in again by itself: a tool error would only tell its user to.
    else if (login.state === "login_required" && credential.kind === "access_token") this.#unauthorized(request, response, requiredProblem);
    else return true;
    return false;
  }

  /** The store could not be asked, or something else went wrong on the way. */
  unavailable(response: ServerResponse, thrown: unknown): void {
    this.#unavailable(response, thrown);
  }

  shuttingDown(response: ServerResponse): void {
    sendProblem(
      response,
      { status: 503, title: "Service Unavailable", code: "cancelled", detail: "This server is shutting down. Connect again in a moment." },
      { "retry-after": "5" },
    );
  }

  #notFound(response: ServerResponse): void {
    sendRpcError(response, 404, {
      rpcCode: rpcCodes.notFound,
      message: "There is no such connection. Begin again with initialize.",
      code: "not_found",
    });
  }

  /** 401 with the challenge of RFC 6750, section 3: `error` only when there was a credential. */
  #unauthorized(request: IncomingMessage, response: ServerResponse, problem: string | undefined): void {
    const [path = ""] = (request.url ?? "").split("?");
    const challenge = this.#options.challenge?.(path);
    const parts = ['realm="latchkey"'];
    if (problem !== undefined)
      parts.push('error="invalid_token"', `error_description="${problem.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, " ")}"`);
    if (challenge !== undefined) parts.push(`resource_metadata="${challenge.resourceMetadata}"`, `scope="${challenge.scope}"`);
    const detail =
      problem ??
      "This server needs a credential: sign in as its protected resource metadata says, or send Authorization: Bearer with a connection key of a signed-in user.";
    sendProblem(
      response,
      { status: 401, title: "Unauthorized", code: "unauthorized", detail },
      { "www-authenticate": `Bearer ${parts.join(", ")}` },
    );
  }

  /** A 401 here would make clients throw a good credential away. */
  #unavailable(response: ServerResponse, thrown: unknown): void {
    const error = asLatchkeyError(thrown);
    this.#options.logger.warn("A request could not be authenticated or bound.", { error });
    const isStore = error.code === "store_unavailable";
    sendProblem(
      response,
      isStore
        ? { status: 503, title: "Service Unavailable", code: error.code, detail: error.message }
        : {
            status: 500,
            title: "Internal Server Error",
            code: "internal_error",
            detail: "Something went wrong inside Latchkey. The log has the cause.",
          },
      isStore ? { "retry-after": String(error.retryAfterSeconds ?? 5) } : undefined,
    );
  }
}

const removedProblem = "This connection key was removed.";
const requiredProblem = "The login session of this credential needs a new sign-in.";
const endedProblem = "The login session of this credential has ended. Sign in again.";

function describeMiB(bytes: number): string {
  return `${Math.round((bytes / 1024 / 1024) * 10) / 10} MiB`;
}
