import type { IncomingMessage, ServerResponse } from "node:http";
import type Provider from "oidc-provider";
import type { Interaction } from "oidc-provider";
import type { Clock } from "../clock.ts";
import { randomSecret } from "../session/random.ts";
import type { AuthorizationServerRecordStore } from "../session/store.ts";
import { isLoopback, isMetadataDocument } from "./client-metadata.ts";
import { interactionSeconds } from "./provider-configuration.ts";
import { mcpScope } from "./resources.ts";

/** Whom the user is asked about. The name is the client's own word; whoever shows it escapes it. */
export interface ConsentClient {
  readonly clientId: string;
  readonly clientName?: string | undefined;
}

/** What the user is asked. */
export interface ConsentRequest extends ConsentClient {
  /** Names the authorization request. */
  readonly uid: string;
  /** The host that vouches for the client: its metadata document is there. Undefined: it registered itself. */
  readonly clientHost: string | undefined;
  /** Where the answer goes: a host, or the scheme of an application. */
  readonly redirectHost: string;
  /** The answer goes to a program on the user's own machine, and nothing says which one. */
  readonly isLoopback: boolean;
  readonly scopes: readonly string[];
  /** Goes into the form. */
  readonly csrfToken: string;
}

const kind = "Consent";

interface Asked extends ConsentClient {
  readonly csrfToken: string;
  readonly isAnswered: boolean;
}

/** The question to the user, and that it is answered once, in the browser in which it was asked. */
export class Consents {
  readonly #records: AuthorizationServerRecordStore;
  readonly #clock: Clock;

  constructor(records: AuthorizationServerRecordStore, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** The question of this browser's authorization request, or undefined: there is none, or it was answered. */
  async find(provider: Provider, uid: string, request: IncomingMessage, response: ServerResponse): Promise<ConsentRequest | undefined> {
    const interaction = await interactionOf(provider, uid, request, response);
    if (interaction === undefined) return undefined;
    const { client_id: clientId, redirect_uri: redirectUri } = interaction.params;
    const client = await provider.Client.find(String(clientId));
    if (client === undefined) return undefined;
    const asked = await this.#ask(uid, { clientId: client.clientId, clientName: client.clientName?.slice(0, 200) });
    if (asked === undefined) return undefined;
    const redirect = new URL(String(redirectUri));
    return {
      uid,
      ...asked,
      clientHost: isMetadataDocument(client.clientId) ? new URL(client.clientId).host : undefined,
      redirectHost: redirect.host === "" ? redirect.protocol : redirect.host,
      isLoopback: isLoopback(redirect.href),
      scopes: [mcpScope],
    };
  }

  /** Takes the user's answer, once. False: the form is not of this question, or it was answered before. */
  async take(uid: string, csrfToken: string): Promise<boolean> {
    const now = this.#clock.now();
    const asked = await this.#read(uid);
    return asked?.csrfToken === csrfToken && (await this.#records.consume(kind, uid, now));
  }

  /** Whom the user answered about; undefined: the question was not answered. */
  async answered(uid: string): Promise<ConsentClient | undefined> {
    const asked = await this.#read(uid);
    return asked?.isAnswered === true ? asked : undefined;
  }

  async #ask(uid: string, client: ConsentClient): Promise<(ConsentClient & { readonly csrfToken: string }) | undefined> {
    const known = await this.#read(uid);
    if (known !== undefined) return known.isAnswered ? undefined : { ...client, csrfToken: known.csrfToken };
    const asked = { ...client, csrfToken: randomSecret() };
    await this.#records.put({ kind, id: uid, content: JSON.stringify(asked), expiresAt: this.#clock.now() + interactionSeconds * 1000 });
    return asked;
  }

  async #read(uid: string): Promise<Asked | undefined> {
    const record = await this.#records.get(kind, uid, this.#clock.now());
    if (record === undefined) return undefined;
    return { ...(JSON.parse(record.content) as Omit<Asked, "isAnswered">), isAnswered: record.consumedAt !== undefined };
  }
}

/** The authorization request, if this browser began it. */
async function interactionOf(
  provider: Provider,
  uid: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Interaction | undefined> {
  try {
    const interaction = await provider.interactionDetails(request, response);
    return interaction.uid === uid ? interaction : undefined;
  } catch (error) {
    // oidc-provider's way of saying that there is none.
    if (error instanceof Error && error.name === "SessionNotFound") return undefined;
    throw error;
  }
}
