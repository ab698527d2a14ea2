/** The error for metadata that cannot be taken; it must be one that oidc-provider answers as `invalid_client_metadata`. */
export type RefuseMetadata = (description: string) => Error;

const loopbackHosts: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** There is one scope, and every client gets it; there are no ID tokens, no logout pages, and no addresses to fetch keys from. */
const ignored: readonly string[] = [
  "scope",
  "post_logout_redirect_uris",
  "jwks",
  "jwks_uri",
  "sector_identifier_uri",
  "id_token_signed_response_alg",
  "default_max_age",
  "require_auth_time",
  "default_acr_values",
];
const mostRedirectUris = 20;
const longestName = 200;

/**
 * Makes a client's own metadata (RFC 7591, section 2, or its metadata document) into what this server can serve, where
 * clients ask for more than they need or say less than they could. `metadata` is changed. Throws what `refuse` gives.
 */
export function normalizeClientMetadata(metadata: Record<string, unknown>, refuse: RefuseMetadata): void {
  const { redirect_uris: uris, client_name: name, client_id: id } = metadata;
  if (!Array.isArray(uris) || uris.length === 0 || uris.length > mostRedirectUris || !uris.every(isRedirectUri))
    throw refuse(
      `redirect_uris must be 1 to ${mostRedirectUris} addresses: https, http on loopback (localhost, 127.0.0.1, [::1]), or a scheme of the application's own`,
    );
  if (typeof name === "string" && name.length > longestName) throw refuse(`client_name must have at most ${longestName} characters`);
  // RFC 8252, section 7.3: an application on the user's machine takes whichever port is free.
  metadata["application_type"] = uris.some((uri) => isLoopback(uri) || !isWeb(uri)) ? "native" : "web";
  metadata["grant_types"] = ["authorization_code", "refresh_token"];
  metadata["response_types"] = ["code"];
  for (const name of ignored) delete metadata[name];
  // Whoever has a public document has no secret; what stands here was filled in where it says nothing.
  if (typeof id === "string" && isMetadataDocument(id) && metadata["token_endpoint_auth_method"] === "client_secret_basic")
    metadata["token_endpoint_auth_method"] = "none";
}

/** Whether a client id is the address of a metadata document. */
export function isMetadataDocument(clientId: string): boolean {
  return clientId.startsWith("https://");
}

/** Whether an address stays on the user's own machine. */
export function isLoopback(address: string): boolean {
  const url = URL.parse(address);
  return url?.protocol === "http:" && loopbackHosts.has(url.hostname);
}

function isWeb(address: string): boolean {
  return /^https?:/i.test(address);
}

function isRedirectUri(value: unknown): value is string {
  if (typeof value !== "string" || value.length > 2000 || !URL.canParse(value)) return false;
  return new URL(value).protocol !== "http:" || isLoopback(value);
}
