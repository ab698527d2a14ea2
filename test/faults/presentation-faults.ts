import { sendText } from "../support/scripted-authorization-server.ts";
import type { PresentationFault, Presented } from "../support/strict-authorization-server.ts";
import type { Hold } from "../support/token-bench.ts";

/** The token is rotated, and the connection breaks before a byte of the reply. */
export const dropReply: PresentationFault = async ({ response, decide }) => {
  await decide();
  response.destroy();
};

/** The connection breaks before the server has looked at the request. */
export const dropRequest: PresentationFault = ({ response }) => response.destroy();

/** Answers for the server, which never sees the request. */
export function answers(status: number, body: unknown = "", headers: Readonly<Record<string, string>> = {}): PresentationFault {
  const [text, type] = typeof body === "string" ? [body, "text/html"] : [JSON.stringify(body), "application/json"];
  return ({ response }) => sendText(response, status, text, { "content-type": type, ...headers });
}

/** The token is rotated, and this comes instead of the reply. */
export function spoils(status: number, body: string, headers: Readonly<Record<string, string>> = {}): PresentationFault {
  return async ({ response, decide }) => {
    await decide();
    sendText(response, status, body, { "content-type": "text/html", ...headers });
  };
}

/** The token is rotated, and the reply breaks off in the middle, though its length was announced. */
export const cutOff: PresentationFault = async ({ response, decide }) => {
  const text = JSON.stringify((await decide()).body);
  response.writeHead(200, { "content-type": "application/json", "content-length": String(text.length) });
  response.write(text.slice(0, text.length / 2), () => response.destroy());
};

/** A good reply but for these members; undefined leaves one out. */
export function tampers(fields: (presented: Presented) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>) {
  return async (presented: Presented): Promise<void> => {
    const { status, body } = await presented.decide();
    const text = JSON.stringify({ ...body, ...(await fields(presented)) });
    sendText(presented.response, status, text, { "content-type": "application/json" });
  };
}

/** The server answers as it should, once it is let: it is held before it looks at the request, or before its reply. */
export function holds(hold: Hold, point: "request" | "reply"): PresentationFault {
  return async ({ response, decide }) => {
    if (point === "request") await hold.wait();
    const { status, body } = await decide();
    if (point === "reply") await hold.wait();
    sendText(response, status, JSON.stringify(body), { "content-type": "application/json" });
  };
}
