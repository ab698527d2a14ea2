import { asLatchkeyError, LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { LoginSession, LoginSessionHandle } from "../session/login-session.ts";
import type { CallHost } from "../tool/call-host.ts";
import type { ToolContext, ToolResult } from "../tool/tool.ts";
import { type AccessTokens, ConnectionCallHost, type EndLoginSession, type SendProgress } from "./connection-call-host.ts";
import type { Refusal, RunningCall, ServedConnection } from "./served-connection.ts";
import type { CatalogEntry, ToolCatalog } from "./tool-catalog.ts";
import { type CallAnswer, toolErrorResult } from "./tool-errors.ts";

export interface ToolCallServices {
  readonly createContext: (host: CallHost) => ToolContext;
  readonly tokens: AccessTokens;
  readonly endLoginSession: EndLoginSession;
  /** Where the user signs in, to repair this login session or, without a handle, for a new one; undefined: there is no such page. */
  readonly loginLink: (repair: LoginSessionHandle | undefined) => string | undefined;
  /** `login_required` or `login_ended`, with the reason in words, for a login session that serves nothing any more. */
  readonly deadLoginError: (login: LoginSession) => LatchkeyError;
  readonly logger: Logger;
}

/** One `tools/call`, whatever the era. */
export interface ToolCall {
  readonly connection: ServedConnection;
  readonly call: RunningCall;
  readonly requestId: string | number;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Undefined: the client did not ask for progress. */
  readonly sendProgress: SendProgress | undefined;
  /** Asks the client's user to sign in, where its client can be asked. */
  readonly prompt?: SignInPrompt | undefined;
}

/** `occasion` names what the sign-in is for: the same is asked once. `signedIn`: whether it was done. */
export interface SignInPrompt {
  ask(occasion: string, loginUrl: string | undefined, signedIn?: Promise<boolean>): void;
}

/** Runs tools for connections: what the servers of both eras have in common. It holds nothing of any connection (B2). */
export class ToolCalls {
  readonly #services: ToolCallServices;
  readonly #catalog: ToolCatalog;

  constructor(services: ToolCallServices, catalog: ToolCatalog) {
    this.#services = services;
    this.#catalog = catalog;
  }

  /** Undefined: there is no such tool. It does not reject. */
  async run({ connection, call, requestId, name, args, sendProgress, prompt }: ToolCall): Promise<CallAnswer | undefined> {
    const entry = this.#catalog.entries.get(name);
    if (entry === undefined) return undefined;
    if (connection.admit !== undefined) {
      const refused = this.#refuse(await connection.admit(name), prompt);
      if (refused !== undefined || !call.isOpen) return refused ?? { content: [] };
    }
    const { login } = connection;
    // Only a stdio connection outlives its login session; the others are closed by now.
    if (login.current().state === "ended") return this.failedCall(this.deadLoginError(login.current()), login.current());
    const problems = entry.checkArguments(args);
    if (problems !== undefined)
      return toolErrorResult(new LatchkeyError("invalid_request", `The arguments of ${name} do not match its input schema: ${problems}.`));
    const { tokens, endLoginSession, createContext, logger } = this.#services;
    const host = new ConnectionCallHost({ toolName: name, connection, call, tokens, endLoginSession, sendProgress, logger });
    try {
      return checkedResult(entry, await entry.tool.run(args, createContext(host)));
    } catch (thrown) {
      const error = asLatchkeyError(thrown);
      // An aborted call has its answer already; what its tool throws afterwards is no news.
      if (!call.signal.aborted) this.#report(error, name, connection, requestId);
      const needsLogin = error.code === "login_required" || error.code === "login_ended";
      const refused = needsLogin && !call.signal.aborted ? this.#refuse(await connection.admit?.(name), prompt) : undefined;
      if (refused !== undefined) return refused;
      const { state, epoch, handle } = login.current();
      if (needsLogin && state === "login_required") prompt?.ask(`${handle} ${epoch}`, this.#services.loginLink(handle));
      return this.failedCall(error, login.current());
    }
  }

  /** The answer to a tool call that `error` ended. */
  failedCall(error: LatchkeyError, login: LoginSession | undefined): CallAnswer {
    return toolErrorResult(error, this.#loginUrl(error, login));
  }

  deadLoginError(login: LoginSession): LatchkeyError {
    return this.#services.deadLoginError(login);
  }

  /** What has ended cannot be repaired: there the link is that of a new sign-in. */
  #loginUrl(error: LatchkeyError, login: LoginSession | undefined): string | undefined {
    if (error.code === "login_required") return this.#services.loginLink(login?.handle);
    return error.code === "login_ended" ? this.#services.loginLink(undefined) : undefined;
  }

  #refuse(refusal: Refusal | undefined, prompt: SignInPrompt | undefined): CallAnswer | undefined {
    if (refusal === undefined) return undefined;
    prompt?.ask(refusal.loginUrl ?? "", refusal.loginUrl, refusal.signedIn);
    return toolErrorResult(refusal.error, refusal.loginUrl);
  }

  #report(error: LatchkeyError, tool: string, connection: ServedConnection, requestId: string | number): void {
    const fields = { tool, code: error.code, login: connection.login.current().handle, connection: connection.label, request: requestId };
    if (error.code === "internal_error") this.#services.logger.error("A tool failed.", { ...fields, error });
    else this.#services.logger.info("A tool call ended with an error.", fields);
  }
}

function checkedResult(entry: CatalogEntry, result: ToolResult): CallAnswer {
  const problems = result.isError ? undefined : entry.checkStructured?.(result.structured);
  if (problems !== undefined)
    throw new LatchkeyError("internal_error", `The answer of ${entry.tool.name} does not match its own output schema.`, {
      cause: new Error(problems),
    });
  return {
    content: result.content.map((part) => ({ ...part })),
    ...(result.structured === undefined ? {} : { structuredContent: { ...result.structured } }),
    ...(result.isError === undefined ? {} : { isError: result.isError }),
  };
}
