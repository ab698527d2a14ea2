import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";

/** A node request as a web-standard one, without its body, which was read before, and without its credential. */
export function toWebRequest({ method = "POST", headers }: IncomingMessage, signal?: AbortSignal): Request {
  const { authorization: _authorization, cookie: _cookie, ...kept } = headers;
  const entries = Object.entries(kept).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) return [];
    return [[name, Array.isArray(value) ? value.join(", ") : value]];
  });
  // The address is nobody's business behind this point.
  return new Request("http://localhost/mcp", { method, headers: entries, ...(signal === undefined ? {} : { signal }) });
}

/**
 * Writes a web-standard response to node's. It waits for a slow reader, and stops when the client is gone or `signal`
 * aborts; the body is given up then. It does not reject.
 */
export async function sendWebResponse(answer: Response, response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (response.headersSent || response.destroyed) return void (await answer.body?.cancel().catch(() => {}));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  const reader = answer.body?.getReader();
  const giveUp = (): void => void reader?.cancel().catch(() => {});
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      if (!response.write(part.value)) await Promise.race([once(response, "drain"), once(response, "close")]);
      if (response.destroyed) break;
    }
  } catch {
    // The body broke off: so does the answer.
  } finally {
    signal.removeEventListener("abort", giveUp);
    giveUp();
    response.end();
  }
}
