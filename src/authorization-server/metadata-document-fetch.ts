/** As oidc-provider calls it. Its options carry a dispatcher that cuts connections to addresses of special use. */
export type ProviderFetch = (url: string | URL, options: RequestInit) => Promise<Response>;

/** The largest metadata document. */
export const metadataDocumentBytes = 64 * 1024;
const timeoutMs = 5_000;

/**
 * Fetches a client's metadata document: within 5 s, no redirect followed, and over a connection that is cut when it
 * leads to a private, loopback or link-local address, whatever name led there. Without that guard nothing is fetched.
 */
export const fetchMetadataDocument: ProviderFetch = (url, options) => {
  if (!("dispatcher" in options)) throw new Error("The guard against private addresses is missing; nothing is fetched.");
  return fetch(url, { ...options, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
};
