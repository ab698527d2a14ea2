import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

/** What a handler is given: the request, and node's own objects below it. */
export type RouteContext = Context<{ Bindings: HttpBindings }>;

/** One method on one path. The table of all routes also says which other methods a path has (405 with Allow). */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** A page that a person opens by its address, so it has to be opened under the public one. */
  readonly page?: boolean | undefined;
  readonly handle: (context: RouteContext) => Response | Promise<Response>;
}

/** A JSON answer that nobody keeps. */
export function json(document: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(document), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

/** Sends the browser elsewhere with GET. */
export function seeOther(location: string, cookies: readonly string[] = []): Response {
  const headers = new Headers({ location, "cache-control": "no-store" });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}
