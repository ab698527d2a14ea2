/**
 * What is wrong with `address` as the address of an issuer or endpoint, undefined if nothing is. TLS is a must
 * (RFC 6749, section 3.2); plain http is accepted on loopback only, for development.
 */
export function addressProblem(address: string): string | undefined {
  if (!URL.canParse(address)) return "is not an absolute address";
  const url = new URL(address);
  if (url.protocol === "https:") return undefined;
  if (url.protocol !== "http:") return "must begin with https://";
  return isLoopback(url.hostname) ? undefined : "must begin with https://; plain http is accepted on loopback only";
}

/** True when the address is plain http, which `addressProblem` lets pass on loopback only. */
export function isPlainHttp(address: string): boolean {
  return new URL(address).protocol === "http:";
}

/** True for a name or address of this very machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
