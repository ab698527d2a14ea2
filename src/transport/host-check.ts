import type { IncomingMessage } from "node:http";

export interface HostSettings {
  /** The address that users and clients know, for example `https://mcp.example.com`. Undefined: loopback only. */
  readonly publicUrl?: string | undefined;
  /** More names that may stand in Host: `name` for any port, `name:port` for one. */
  readonly allowedHosts: readonly string[];
  /** Foreign origins whose pages may call `/mcp`, the metadata and the token endpoints. */
  readonly corsOrigins: readonly string[];
}

export type HostVerdict =
  /** Where the page that sent the request comes from; `none`: it was no page, or a plain navigation. */
  | { readonly kind: "allowed"; readonly origin: "none" | "own" | "cors" }
  /** `problem` is safe to show. */
  | { readonly kind: "refused"; readonly problem: string };

/** Looks at a request's Host and Origin (B12). It reads nothing else. */
export type HostCheck = (request: IncomingMessage) => HostVerdict;

const loopbackNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * The check against DNS rebinding and foreign pages. Host must be the public one, an allowed one, or, for a request
 * that came in over a loopback address, a loopback name with the port that listens. Origin, where there is one, must
 * be the server's own or a configured one; the caller decides where `cors` will do.
 */
export function createHostCheck(settings: HostSettings): HostCheck {
  const publicUrl = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl);
  const allowedHosts = new Set(settings.allowedHosts.map((host) => host.toLowerCase()));
  const corsOrigins = new Set(settings.corsOrigins.map((origin) => new URL(origin).origin));

  const isAllowedHost = (host: string, request: IncomingMessage): boolean => {
    if (host === publicUrl?.host || allowedHosts.has(host)) return true;
    const { name, port } = splitPort(host);
    if (allowedHosts.has(name)) return true;
    const { localAddress, localPort } = request.socket;
    const defaultPort = "encrypted" in request.socket ? 443 : 80;
    return loopbackNames.has(name) && isLoopback(localAddress) && (port ?? defaultPort) === localPort;
  };

  return (request) => {
    const host = request.headers.host?.toLowerCase();
    if (host === undefined || !isAllowedHost(host, request))
      return { kind: "refused", problem: "The Host header does not name this server. Use the address that it is configured for." };
    const { origin } = request.headers;
    if (origin === undefined) return { kind: "allowed", origin: "none" };
    if (isOwnOrigin(origin.toLowerCase(), host, publicUrl)) return { kind: "allowed", origin: "own" };
    if (corsOrigins.has(origin)) return { kind: "allowed", origin: "cors" };
    return {
      kind: "refused",
      problem: "Pages of this origin may not call this server. Add the origin to server.corsOrigins if they should.",
    };
  };
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}

/** Under its public name a server has one origin; under another, its own page may have come by http or https. */
function isOwnOrigin(origin: string, host: string, publicUrl: URL | undefined): boolean {
  if (origin === publicUrl?.origin) return true;
  if (host === publicUrl?.host) return false;
  return origin === `http://${host}` || origin === `https://${host}`;
}

function splitPort(host: string): { readonly name: string; readonly port: number | undefined } {
  const match = /^(\[[0-9a-f:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(host);
  if (match?.[1] === undefined) return { name: host, port: undefined };
  return { name: match[1], port: match[2] === undefined ? undefined : Number(match[2]) };
}
