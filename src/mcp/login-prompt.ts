import { randomUUID } from "node:crypto";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { LoginSession } from "../session/login-session.ts";

/** So long the user may take to look at the question. */
const answerLimitMs = 10 * 60_000;

/**
 * Asks the client's user to sign in again by opening a link (URL elicitation, MCP 2025-11-25), once for each time the
 * login session needs it, if the client can do that and can be reached. The answer is not waited for: a user who
 * agrees has opened the page, not yet signed in. One object per server.
 */
export class LoginPrompt {
  readonly #server: Server;
  #askedForEpoch: number | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  ask(login: LoginSession, loginUrl: string | undefined): void {
    if (loginUrl === undefined || login.state !== "login_required" || this.#askedForEpoch === login.epoch) return;
    if (this.#server.getClientCapabilities()?.elicitation?.url === undefined) return;
    this.#askedForEpoch = login.epoch;
    const message = "Your sign-in has run out. Open this page to sign in again; the connection carries on afterwards.";
    const question = { mode: "url" as const, message, url: loginUrl, elicitationId: randomUUID() };
    this.#server.elicitInput(question, { timeout: answerLimitMs }).catch(() => {
      // It could not be delivered, or nobody answered: the next failed call may ask again.
      this.#askedForEpoch = undefined;
    });
  }
}
