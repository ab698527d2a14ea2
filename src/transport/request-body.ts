import type { IncomingMessage } from "node:http";

export type RequestBody =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "too_large" }
  /** The client went away before the end. */
  | { readonly kind: "aborted" };

/** So much of a body that is too large is read and thrown away, so that the client gets to read the answer. */
const discardBytes = 32 * 1024 * 1024;

/**
 * Reads a request's body as UTF-8, up to `limitBytes`. A larger one is refused by its Content-Length before a byte is
 * read, or as soon as more has arrived. It never rejects.
 */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<RequestBody> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > limitBytes) {
    discard(request);
    return Promise.resolve({ kind: "too_large" });
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (body: RequestBody): void => {
      request.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      settle({ kind: "too_large" });
      discard(request);
    };
    const onEnd = (): void =>
      settle({ kind: "text", text: (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString("utf8") ?? "" });
    const onGone = (): void => settle({ kind: "aborted" });
    request.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
    if (request.destroyed) onGone();
  });
}

/** Reads on without keeping anything: a closed socket would lose the answer that says why. Not for ever, though. */
function discard(request: IncomingMessage): void {
  let left = discardBytes;
  request.on("error", () => {});
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
}
