import type { EventEmitter } from "node:events";
import type ProviderClass from "oidc-provider";
import type { ErrorOut, errors, KoaContextWithOIDC, TokenEndpointGrantContext } from "oidc-provider";
import type { Audit } from "../audit/audit.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { AuthorizationServerRecordStore } from "../session/store.ts";
import { isMetadataDocument } from "./client-metadata.ts";
import { fetchMetadataDocument, type ProviderFetch } from "./metadata-document-fetch.ts";
import { endpoints, type Lifetimes, providerConfiguration } from "./provider-configuration.ts";
import { createRecordAdapter } from "./record-adapter.ts";
import { refreshGrant } from "./refresh-grant.ts";
import { RefreshReplies } from "./refresh-replies.ts";
import { mcpScope, type Resources } from "./resources.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface ProviderOptions {
  readonly resources: Resources;
  readonly keys: SigningKeys;
  readonly records: AuthorizationServerRecordStore;
  readonly lifetimes: Lifetimes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: Audit;
  /** Whether the login session of this handle can be used. */
  readonly isUsable: (handle: string) => Promise<boolean>;
  /** Ends the login session of this handle, because its client's grant has ended. */
  readonly endLogin: (handle: string) => Promise<void>;
  /** A page for a request that leads nowhere, as HTML. */
  readonly errorPage: (problem: string, code: string) => string;
  /** How metadata documents are fetched; for tests. */
  readonly fetch?: ProviderFetch | undefined;
}

/** How long the second presentation of a refresh token gets the first one's answer. */
const graceMs = 30_000;
/** A client that registered itself and that nobody has consented to is forgotten. */
const unusedClientSeconds = 7 * 24 * 3600;
/** Metadata documents that are fetched at the request of anybody: so many at once, then one a second. */
const fetchesAtOnce = 30;
const fetchEveryMs = 1_000;

/** Makes the oidc-provider instance. Throws LatchkeyError `store_unavailable`. */
export async function createProvider(options: ProviderOptions): Promise<ProviderClass> {
  const { resources, records, clock, logger, audit } = options;
  // Loaded at the first use: it takes longer than everything else here, and not every server has such clients.
  const { default: Provider, errors: providerErrors, interactionPolicy } = await import("oidc-provider");
  const { Check, Prompt } = interactionPolicy;
  const bucket = new TokenBucket(clock, fetchesAtOnce, fetchEveryMs);
  const refresh = {
    replies: new RefreshReplies(records, clock, graceMs),
    isUsable: options.isUsable,
    audit,
    invalidGrant: (detail: string) => new providerErrors.InvalidGrant(detail),
    tryAgain: () => unavailable(new providerErrors.CustomOIDCProviderError("temporarily_unavailable", "try again in a moment")),
  };

  class ClientProvider extends Provider {
    // Called by the constructor for each grant type.
    override registerGrantType<Parameters extends object>(
      name: string,
      handler: (context: TokenEndpointGrantContext<Parameters>) => void | Promise<void>,
      ...rest: (string | readonly string[] | ReadonlySet<string> | undefined)[]
    ): void {
      super.registerGrantType(name, name === "refresh_token" ? refreshGrant(handler, refresh) : handler, ...rest);
    }
  }

  const { port, protocol } = new URL(resources.issuer);
  const prefix = protocol === "https:" ? "__Secure-latchkey_oauth" : `latchkey_oauth_${port || "80"}`;
  const provider = new ClientProvider(
    resources.issuer,
    providerConfiguration({
      resources,
      lifetimes: options.lifetimes,
      key: await options.keys.mustGet(),
      adapter: createRecordAdapter({
        records,
        clock,
        unusedClientSeconds,
        graceMs,
        usedBefore: () => new providerErrors.InvalidGrant("already used"),
        endLogin: options.endLogin,
      }),
      policy: [
        // Always, whatever was consented to before: each authorization is a grant and a login session of its own (B8).
        new Prompt(
          { name: "consent", requestable: true },
          new Check(
            "consent_missing",
            "the user must consent",
            "consent_required",
            (context) => context.oidc.result?.consent === undefined,
          ),
        ),
      ],
      cookieName: (purpose) => `${prefix}_${purpose}`,
      fetch: options.fetch ?? fetchMetadataDocument,
      mayFetch: () => bucket.take(),
      isUsable: options.isUsable,
      invalidTarget: () => new providerErrors.InvalidTarget(),
      invalidMetadata: (description) => new providerErrors.InvalidClientMetadata(description),
      renderError: (context, out) => {
        context.type = "html";
        context.body = options.errorPage(describe(context, out), out.error);
      },
    }),
  );
  // Addresses and cookies follow the public origin, which the requests are given before they come here.
  provider.proxy = true;
  const sessionCookie = provider.cookieName("session");
  provider.use(async (context, next) => {
    await next();
    dropCookie(context, sessionCookie);
    if (context.path === endpoints.metadata && isRecord(context.body)) context.body = onlyOAuth(context.body);
  });
  watch(provider, { logger, audit });
  return provider;
}

/** What went wrong, for people. A metadata document that cannot be had is the one thing that an operator can do something about. */
function describe(context: KoaContextWithOIDC, { error, error_description: description }: ErrorOut): string {
  const id = context.query["client_id"];
  if (error === "invalid_client" && typeof id === "string" && isMetadataDocument(id))
    return `This server could not use the description that the application has at ${URL.parse(id)?.host ?? "its address"}. If this server has no way to the internet, have the application register itself instead (RFC 7591), or connect with a connection key.`;
  return description ?? "The request could not be answered.";
}

function watch(provider: ProviderClass, { logger, audit }: Pick<ProviderOptions, "logger" | "audit">): void {
  provider.on("registration_create.success", (_context, client) =>
    audit.record({ event: "client_registered", client: client.clientId, name: client.clientName?.slice(0, 200) }),
  );
  const refused = (context: KoaContextWithOIDC, error: errors.OIDCProviderError): void =>
    audit.record({ event: "client_refused", client: context.oidc.client?.clientId, endpoint: context.oidc.route, code: error.error });
  provider.on("authorization.error", refused);
  provider.on("grant.error", refused);
  provider.on("registration_create.error", refused);
  provider.on("revocation.error", refused);
  provider.on("server_error", (_context, error) => logger.error("The authorization server of MCP clients failed at a request.", { error }));
  // Without a listener koa prints to the console. These are clients that went away. Its types leave this event out.
  const koa: EventEmitter = provider;
  koa.on("error", (error: unknown) => logger.debug("A request to the authorization server of MCP clients broke off.", { error }));
}

/** There is no session at this authorization server: the cookie would stand for nothing. */
function dropCookie(context: KoaContextWithOIDC | { readonly response: KoaContextWithOIDC["response"] }, name: string): void {
  const set = context.response.headers["set-cookie"];
  const cookies = (Array.isArray(set) ? set : set === undefined ? [] : [String(set)]).filter((each) => !each.startsWith(`${name}=`));
  if (cookies.length === 0) context.response.remove("set-cookie");
  else context.response.set("set-cookie", [...cookies]);
}

/** Of the metadata (RFC 8414) what is said of OpenID Connect is left out: no ID token is to be had here. */
function onlyOAuth(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const kept = Object.entries(metadata).filter(([name]) => !/^(claims?_|id_token_|subject_types|request_)/.test(name));
  return { ...Object.fromEntries(kept), response_modes_supported: ["query"], scopes_supported: [mcpScope] };
}

function unavailable(error: errors.OIDCProviderError): errors.OIDCProviderError {
  return Object.assign(error, { status: 503, statusCode: 503 });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Buffer.isBuffer(value);
}
