import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose";
import type { Clock } from "../clock.ts";
import type { ClientAuthentication, FaultServerClient } from "./options.ts";

/** What a request says about its client. */
export interface ClientClaim {
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

/** Who a request says it comes from, not yet believed. */
export function claimedClientId({ authorization, form }: ClientClaim): string | undefined {
  const basic = basicCredentials(authorization);
  if (basic !== undefined) return decoded(basic.id);
  const assertion = form.get("client_assertion");
  if (assertion === null) return form.get("client_id") ?? undefined;
  try {
    return decodeJwt(assertion).iss;
  } catch {
    return undefined;
  }
}

/** Believes clients that prove themselves in the way that they are registered with, and in no other. */
export class ClientAuthenticator {
  readonly #clients: readonly FaultServerClient[];
  readonly #audiences: () => readonly string[];
  readonly #clock: Clock;
  readonly #seen = new Set<string>();

  /** `audiences`: what an assertion may be made out to. */
  constructor(clients: readonly FaultServerClient[], audiences: () => readonly string[], clock: Clock) {
    this.#clock = clock;
    this.#clients = clients;
    this.#audiences = audiences;
  }

  /** The client, or undefined for anybody whom it does not believe. */
  async authenticate(claim: ClientClaim): Promise<FaultServerClient | undefined> {
    const clientId = claimedClientId(claim);
    const client = this.#clients.find((each) => each.clientId === clientId);
    if (client === undefined) return undefined;
    return (await this.#proves(client, claim, client.authentication ?? { method: "none" })) ? client : undefined;
  }

  async #proves(client: FaultServerClient, { authorization, form }: ClientClaim, expected: ClientAuthentication): Promise<boolean> {
    const basic = basicCredentials(authorization);
    switch (expected.method) {
      case "none":
        return basic === undefined && !form.has("client_secret") && !form.has("client_assertion");
      case "client_secret_basic": {
        const encoding = expected.encoding ?? "either";
        const raw = basic?.id === client.clientId && basic.secret === expected.secret;
        const percent = decoded(basic?.id) === client.clientId && decoded(basic?.secret) === expected.secret;
        return (encoding !== "percent" && raw) || (encoding !== "raw" && percent);
      }
      case "client_secret_post":
        return basic === undefined && form.get("client_secret") === expected.secret;
      case "private_key_jwt":
        return await this.#asserts(client.clientId, form.get("client_assertion") ?? "", expected.keys);
    }
  }

  async #asserts(
    clientId: string,
    assertion: string,
    keys: Extract<ClientAuthentication, { method: "private_key_jwt" }>["keys"],
  ): Promise<boolean> {
    try {
      const { payload } = await jwtVerify(assertion, createLocalJWKSet({ keys: [...keys] }), {
        issuer: clientId,
        subject: clientId,
        audience: [...this.#audiences()],
        requiredClaims: ["exp", "jti"],
        clockTolerance: 60,
        currentDate: new Date(this.#clock.now()),
      });
      const id = `${clientId} ${payload.jti}`;
      if (this.#seen.has(id)) return false;
      this.#seen.add(id);
      return true;
    } catch {
      return false;
    }
  }
}

function basicCredentials(authorization: string | undefined): { readonly id: string; readonly secret: string } | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const [id = "", ...rest] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  return { id, secret: rest.join(":") };
}

/** Form encoding undone (RFC 6749, section 2.3.1). What is none is left as it is. */
function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
