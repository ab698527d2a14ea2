import type { CallSignal } from "./call-signal.ts";
import { TokenRedaction } from "./token-redaction.ts";

/**
 * The response as the tool gets it: status and headers as they came; the body passes through under the same signals
 * and the same time limit between two parts, and without the access token, should the API echo it. Reading the body
 * rejects with the same LatchkeyErrors as the call.
 */
export function guardResponse(response: Response, call: CallSignal, accessToken: string, unsafe: boolean, redirected: boolean): Response {
  const body = response.body === null ? null : guardBody(response.body, call, accessToken, unsafe);
  const { status, statusText } = response;
  const guarded = new Response(body, { status, statusText, headers: cleanHeaders(response.headers, accessToken) });
  // The constructor leaves both empty, and tools resolve links against the address.
  Object.defineProperties(guarded, { url: { value: response.url }, redirected: { value: redirected } });
  return guarded;
}

function guardBody(body: ReadableStream<Uint8Array>, call: CallSignal, accessToken: string, unsafe: boolean): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const redaction = new TokenRedaction(accessToken);
  // Only a read that is waited for is timed: a tool may take its time between two.
  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      const safe = redaction.push(value);
      if (safe.byteLength > 0) return safe;
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await call.limit(unsafe, next);
        if (chunk !== undefined) return controller.enqueue(chunk);
        const rest = redaction.end();
        if (rest.byteLength > 0) controller.enqueue(rest);
        controller.close();
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function cleanHeaders(headers: Headers, accessToken: string): Headers {
  const clean = new Headers(headers);
  for (const [name, value] of headers) if (value.includes(accessToken)) clean.delete(name);
  return clean;
}
