import type { RouteContext } from "./route.ts";

const loopbackNames: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Where a browser that came by another name of this machine has to go: cookies belong to one name, and the login comes
 * back to the public one. Between loopback names only: behind a proxy the Host header need not be what the browser sees.
 */
export function canonicalAddress(context: RouteContext, publicUrl: URL): string | undefined {
  const asked = new URL(context.req.url);
  if (asked.hostname === publicUrl.hostname) return undefined;
  if (!loopbackNames.includes(asked.hostname) || !loopbackNames.includes(publicUrl.hostname)) return undefined;
  return `${publicUrl.origin}${asked.pathname}${asked.search}`;
}
