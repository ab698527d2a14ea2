import { createHash } from "node:crypto";
import type { ConsoleFiles } from "../console/console-files.ts";
import type { Route } from "./route.ts";

/** The page and its files. The page is the same for everybody: what it shows it asks for. */
export function consoleRoutes(files: ConsoleFiles, options: { readonly demo: boolean }): readonly Route[] {
  const page = files.page({ demo: options.demo });
  const showPage = (): Response =>
    new Response(page, { headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" } });
  const assets = files.assets.map(({ name, type, body }): Route => {
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    const headers = { "content-type": type, "cache-control": "no-cache", etag };
    return {
      method: "GET",
      path: `/assets/${name}`,
      handle: (context) =>
        context.req.header("if-none-match") === etag
          ? new Response(null, { status: 304, headers })
          : new Response(new Uint8Array(body), { headers }),
    };
  });
  return [
    { method: "GET", path: "/", page: true, handle: showPage },
    { method: "GET", path: "/s/:handle", page: true, handle: showPage },
    ...assets,
  ];
}
