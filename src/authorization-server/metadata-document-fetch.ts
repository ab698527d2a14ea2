import { promises as dns, type LookupAddress } from "node:dns";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { isPublicAddress } from "./public-address.ts";

/** As oidc-provider calls it. */
export type ProviderFetch = (url: string | URL, options: RequestInit) => Promise<Response>;

/** What a connection to a metadata document goes by; for tests. */
export interface MetadataDocumentConnection {
  /** Whether a connection to this address may be opened. Default: only public ones. */
  readonly mayConnect?: (address: string) => boolean;
  /** The addresses of a name. Default: what the system says. */
  readonly resolve?: (hostname: string) => Promise<LookupAddress[]>;
  /** The certificate to trust. Default: those that Node.js trusts. */
  readonly ca?: string;
  /** Default 5 s. */
  readonly timeoutMs?: number;
}

/** The largest metadata document. */
export const metadataDocumentBytes = 64 * 1024;
const usualTimeoutMs = 5_000;
/** Of the headers of the answer, what oidc-provider reads. */
const readHeaders = ["content-type", "cache-control", "expires"] as const;

/**
 * Fetches a client's metadata document: within 5 s from the name's lookup to the last byte, at most 64 KiB, no redirect
 * followed, no proxy used. Nothing is connected to, unless every address of the host is public; the connection is
 * opened to one of the addresses that were checked, so a name that changes meanwhile leads nowhere else.
 */
export async function fetchMetadataDocument(
  url: string | URL,
  options: RequestInit,
  connection: MetadataDocumentConnection = {},
): Promise<Response> {
  const { mayConnect = isPublicAddress, resolve = lookupAll, ca, timeoutMs = usualTimeoutMs } = connection;
  const { href, protocol, hostname } = new URL(url);
  if (protocol !== "https:") throw new Error("A metadata document is fetched over https only.");
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  // No lookup is made for a host that is an address.
  if (isIP(host) !== 0) mustAllow([host], mayConnect);
  const headers = { ...Object.fromEntries(new Headers(options.headers)), "accept-encoding": "identity" };
  return new Promise((done, failed) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const sent = request(href, { agent: false, headers, lookup: guardedLookup(resolve, mayConnect), signal, ca });
    sent.on("error", failed);
    sent.on("response", (response) => {
      readDocument(response)
        .then(done, failed)
        .finally(() => sent.destroy());
    });
    sent.end();
  });
}

function lookupAll(hostname: string): Promise<LookupAddress[]> {
  return dns.lookup(hostname, { all: true });
}

/** A lookup that fails, unless every address of the name may be connected to. */
function guardedLookup(resolve: (hostname: string) => Promise<LookupAddress[]>, mayConnect: (address: string) => boolean): LookupFunction {
  const checked = async (hostname: string): Promise<LookupAddress[]> => {
    const addresses = await resolve(hostname);
    mustAllow(
      addresses.map(({ address }) => address),
      mayConnect,
    );
    return addresses;
  };
  return (hostname, { all }, answer) => {
    checked(hostname).then(
      (addresses) => (all === true ? answer(null, addresses) : answer(null, addresses[0]?.address ?? "", addresses[0]?.family)),
      (error: Error) => answer(error, []),
    );
  };
}

function mustAllow(addresses: readonly string[], mayConnect: (address: string) => boolean): void {
  if (addresses.length === 0 || !addresses.every(mayConnect))
    throw new Error("The metadata document is not at public addresses only; nothing is fetched.");
}

/** The whole answer. What is no document is not read. */
async function readDocument(response: IncomingMessage): Promise<Response> {
  if (response.statusCode !== 200) throw new Error(`The metadata document was answered with status ${response.statusCode}.`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.iterator()) {
    if (!(chunk instanceof Uint8Array)) continue;
    bytes += chunk.byteLength;
    if (bytes > metadataDocumentBytes) throw new Error("The metadata document is too large.");
    chunks.push(chunk);
  }
  const headers = readHeaders.flatMap((name): [string, string][] => {
    const value = response.headers[name];
    return value === undefined ? [] : [[name, value]];
  });
  return new Response(Buffer.concat(chunks), { headers });
}
