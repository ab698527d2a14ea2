import type { ServerResponse } from "node:http";

/** An answer before it is written. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** How many bytes of the body are sent before the connection is cut; undefined: all. */
  readonly cutAfterBytes?: number;
}

export function jsonAnswer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { "content-type": "application/json", "cache-control": "no-store", ...headers }, body: JSON.stringify(body) };
}

export function htmlAnswer(status: number, text: string): Answer {
  const body = `<!doctype html><title>${text}</title><h1>${text}</h1>\n`;
  return { status, headers: { "content-type": "text/html; charset=utf-8" }, body };
}

export function redirectAnswer(location: string): Answer {
  return { status: 302, headers: { location }, body: "" };
}

/** An OAuth error (RFC 6749, section 5.2). */
export function errorAnswer(error: string, status = error === "invalid_client" ? 401 : 400): Answer {
  const challenge: Readonly<Record<string, string>> = status === 401 ? { "www-authenticate": 'Basic realm="fault server"' } : {};
  return jsonAnswer(status, { error }, challenge);
}

/** Writes it. `true`: all of it was handed to the operating system; `false`: the connection went away, or was cut on purpose. */
export function writeAnswer(response: ServerResponse, answer: Answer): Promise<boolean> {
  return new Promise((resolve) => {
    if (response.destroyed) return resolve(false);
    response.once("finish", () => resolve(answer.cutAfterBytes === undefined));
    response.once("close", () => resolve(false));
    const body = Buffer.from(answer.body, "utf8");
    response.writeHead(answer.status, { ...answer.headers, "content-length": body.length });
    if (answer.cutAfterBytes === undefined) response.end(body);
    else response.write(body.subarray(0, answer.cutAfterBytes), () => response.destroy());
  });
}
