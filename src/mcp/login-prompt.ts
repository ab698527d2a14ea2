import { randomUUID } from "node:crypto";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";

/** So long the user may take to look at the question. */
const answerLimitMs = 10 * 60_000;

/**
 * Asks the client's user to sign in by opening a link (URL elicitation, MCP 2025-11-25), once for each occasion, if the
 * client can do that and can be reached. The answer is not waited for: a user who agrees has opened the page, not yet
 * signed in. One object per server.
 */
export class LoginPrompt {
  readonly #server: Server;
  #askedFor: string | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** `occasion`: names this need of a sign-in. `signedIn`: the client is told once it is true. */
  ask(occasion: string, loginUrl: string | undefined, signedIn?: Promise<boolean>): void {
    if (loginUrl === undefined || this.#askedFor === occasion) return;
    if (this.#server.getClientCapabilities()?.elicitation?.url === undefined) return;
    this.#askedFor = occasion;
    const message = "You need to sign in. Open this page for it; the connection carries on afterwards.";
    const elicitationId = randomUUID();
    const question = { mode: "url" as const, message, url: loginUrl, elicitationId };
    void signedIn?.then((isSignedIn) => (isSignedIn ? this.#complete(elicitationId) : undefined));
    this.#server.elicitInput(question, { timeout: answerLimitMs }).catch(() => {
      // It could not be delivered, or nobody answered: the next failed call may ask again.
      this.#askedFor = undefined;
    });
  }

  async #complete(elicitationId: string): Promise<void> {
    try {
      await this.#server.createElicitationCompletionNotifier(elicitationId)();
    } catch {
      // The client has gone, or does not want to know: its next call goes through all the same.
    }
  }
}
