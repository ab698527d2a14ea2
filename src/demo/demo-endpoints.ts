import type { IncomingMessage, ServerResponse } from "node:http";
import { asLatchkeyError } from "../errors.ts";
import type { Faults } from "./faults.ts";
import { parseFaultSettings } from "./faults.ts";
import { parseJson, readBody, sendJson, sendProblem } from "./http-exchange.ts";
import type { TokenEvents } from "./token-events.ts";

export interface DemoEndpointOptions {
  readonly events: TokenEvents;
  readonly faults: Faults;
  readonly issuer: string;
}

/** Answers /demo/events and /demo/fault, for programs on this machine only. No fault hits them. */
export async function serveDemoEndpoint(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  { events, faults, issuer }: DemoEndpointOptions,
): Promise<void> {
  const refusal = refuse(request, issuer);
  if (refusal !== undefined) return sendProblem(response, { status: 403, code: "forbidden", detail: refusal });
  const route = `${request.method} ${url.pathname}`;
  switch (route) {
    case "GET /demo/events": {
      const since = url.searchParams.get("since") ?? "0";
      if (!/^\d{1,15}$/.test(since))
        return sendProblem(response, { status: 400, code: "invalid_request", detail: "since must be a whole number, 0 or more." });
      return sendJson(response, 200, events.page(Number(since)));
    }
    case "GET /demo/fault":
      return sendJson(response, 200, { faults: faults.active() });
    case "POST /demo/fault":
      return setFault(request, response, faults);
  }
  const allowed = { "/demo/events": "GET", "/demo/fault": "GET, POST" }[url.pathname];
  if (allowed !== undefined) {
    const detail = `${url.pathname} takes ${allowed}.`;
    return sendProblem(response, { status: 405, code: "invalid_request", detail }, { allow: allowed });
  }
  sendProblem(response, { status: 404, code: "not_found", detail: "There are /demo/events and /demo/fault." });
}

async function setFault(request: IncomingMessage, response: ServerResponse, faults: Faults): Promise<void> {
  const body = await readBody(request, 16_384);
  if (body.kind === "aborted") return;
  if (body.kind === "too_large") return sendProblem(response, { status: 413, code: "payload_too_large", detail: "At most 16 KiB." });
  try {
    faults.set(parseFaultSettings(parseJson(body.text)));
  } catch (thrown) {
    const { code, message, details } = asLatchkeyError(thrown);
    if (code !== "invalid_request") throw thrown;
    const problems = Array.isArray(details.problems) ? details.problems.map(String) : [];
    return sendProblem(response, { status: 400, code, detail: message, problems });
  }
  sendJson(response, 200, { faults: faults.active() });
}

/** Why a request is refused: from another machine, or from a web page (by another name of this host, or from another origin). */
function refuse(request: IncomingMessage, issuer: string): string | undefined {
  const { port } = new URL(issuer);
  const { host, origin } = request.headers;
  const address = request.socket.remoteAddress ?? "";
  if (!/^(::ffff:)?127\.|^::1$/.test(address)) return "Only programs on this machine may ask.";
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`];
  if (host === undefined || !hosts.includes(host)) return `Ask at ${issuer}.`;
  const site = request.headers["sec-fetch-site"];
  const foreign =
    (origin !== undefined && !hosts.includes(origin.replace(/^http:\/\//, ""))) || site === "cross-site" || site === "same-site";
  return foreign ? "Web pages of other origins may not ask." : undefined;
}
