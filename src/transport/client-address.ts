import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** Gives the address of the client that sent a request; undefined when its socket has none any more. It is for the log alone: nothing is allowed by it. */
export type ClientAddress = (request: IncomingMessage) => string | undefined;

/** More entries than any chain of proxies writes. */
const mostHops = 32;

/**
 * Reads X-Forwarded-For as far as it can be believed: from the right, as long as the address that wrote an entry is a
 * trusted proxy. What stands further left was written by somebody whom nobody vouches for. Other X-Forwarded headers
 * are never read: host and scheme are those of `server.publicUrl`. `trustedProxies` are addresses and CIDR ranges.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = new BlockList();
  for (const entry of trustedProxies) {
    const [address = "", prefix] = entry.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const isTrusted = (address: string): boolean => trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

  return (request) => {
    let client = plainAddress(request.socket.remoteAddress ?? "");
    if (client === undefined || !isTrusted(client)) return client;
    const header = request.headers["x-forwarded-for"];
    const entries = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").slice(-mostHops).reverse();
    for (const entry of entries) {
      const next = plainAddress(entry.trim());
      if (next === undefined) return client;
      client = next;
      if (!isTrusted(client)) return client;
    }
    return client;
  };
}

/** An IP address without port, brackets, zone and the prefix of a mapped IPv4 address. */
function plainAddress(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
  const address = bare.replace(/%.*$/, "").replace(/^::ffff:(?=[\d.]+$)/i, "");
  return isIP(address) === 0 ? undefined : address;
}
