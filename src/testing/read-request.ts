import type { IncomingMessage } from "node:http";
import type { EndpointRequest } from "./server-state.ts";

/** A request before anything is chosen for it. */
export type ReadRequest = Omit<EndpointRequest, "plan"> & {
  /** Below the issuer's path. */
  readonly path: string;
};

const wellKnown = "/.well-known/openid-configuration";

/** Reads a request to its end. Undefined: the client went away before. */
export async function readRequest(incoming: IncomingMessage, issuerPath: string): Promise<ReadRequest | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) if (chunk instanceof Buffer) chunks.push(chunk);
  } catch {
    return undefined;
  }
  const url = new URL(incoming.url ?? "/", "http://127.0.0.1");
  return {
    method: incoming.method ?? "",
    path: pathBelow(url.pathname, issuerPath),
    query: url.searchParams,
    form: new URLSearchParams(Buffer.concat(chunks).toString("utf8")),
    authorization: incoming.headers.authorization,
  };
}

/** The document of an OAuth authorization server (RFC 8414) is the same one, with the issuer's path at the other end. */
function pathBelow(path: string, issuerPath: string): string {
  if (path === `/.well-known/oauth-authorization-server${issuerPath}`) return wellKnown;
  return path.startsWith(`${issuerPath}/`) ? path.slice(issuerPath.length) : "";
}
