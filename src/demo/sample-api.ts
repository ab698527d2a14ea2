import type { IncomingMessage, ServerResponse } from "node:http";
import { type Clock, systemClock } from "../clock.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { AccessTokenVerifier } from "./access-token-verifier.ts";
import { parseJson, readBody, sendJson, sendProblem } from "./http-exchange.ts";
import { LoopbackListener } from "./loopback-listener.ts";
import { Notes } from "./notes.ts";
import { streamSlowReport } from "./slow-report.ts";

export interface SampleApiOptions {
  /** Port on 127.0.0.1; 0 (the default) takes a free one. */
  readonly port?: number | undefined;
  /** Whose access tokens are taken. */
  readonly issuer: string;
  /** Default: /jwks of the issuer, as the demo's authorization server has it. */
  readonly jwksUri?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

export interface SampleApiStats {
  /** All requests, refused ones included. */
  readonly requests: number;
  /** Accepted requests by user (the access token's subject). */
  readonly byUser: ReadonlyMap<string, number>;
  /** Requests with a bearer that no access token for this API is: a connection key, a token for somebody else, a forged one. */
  readonly foreignBearers: number;
  /** Reports that are being streamed now. */
  readonly runningReports: number;
}

export interface SampleApi {
  /** Its address, which is the audience of its access tokens. */
  readonly url: string;
  readonly port: number;
  stats(): SampleApiStats;
  /** Cuts running requests. */
  close(): Promise<void>;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly user: string;
  readonly expiresAt: number;
}

const longestNote = 2000;
const longestReportSeconds = 120;
const bodyLimitBytes = 65_536;
const countedUsers = 10_000;

/** Starts the protected API of the demo: notes and a slow report, per user. Throws LatchkeyError `configuration_invalid` when the port cannot be used. */
export async function startSampleApi(options: SampleApiOptions): Promise<SampleApi> {
  const { clock = systemClock, logger = silentLogger, issuer, jwksUri = `${issuer}/jwks` } = options;
  const notes = new Notes(clock);
  const byUser = new Map<string, number>();
  const counts = { requests: 0, foreignBearers: 0, runningReports: 0 };
  const routes: Readonly<Record<string, Readonly<Record<string, (call: Call) => void | Promise<void>>>>> = {
    "/me": {
      GET: ({ response, user, expiresAt }) =>
        sendJson(response, 200, { subject: user, accessTokenExpiresAt: new Date(expiresAt).toISOString() }),
    },
    "/notes": { GET: ({ response, user }) => sendJson(response, 200, { notes: notes.list(user) }), POST: addNote },
    "/notes/{id}": { DELETE: deleteNote },
    "/reports/slow": { GET: slowReport },
  };
  const listener = new LoopbackListener(options.port ?? 0, (request, response) => {
    serve(request, response).catch((cause: unknown) => {
      logger.error("The sample API failed at a request", { cause });
      response.destroy();
    });
  });
  await listener.start();
  const url = `http://127.0.0.1:${listener.port}`;
  const verifier = new AccessTokenVerifier({ issuer, jwksUri, audience: url, clock });
  // Now, while the authorization server is there: it may be away when the first call comes.
  await verifier.prepare();
  return {
    url,
    port: listener.port,
    stats: () => ({ ...counts, byUser: new Map(byUser) }),
    close: () => listener.stop(),
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    counts.requests += 1;
    const target = URL.parse(request.url ?? "/", url);
    if (target === null) return sendProblem(response, { status: 400, code: "invalid_request", detail: "The address cannot be read." });
    const check = await verifier.check(request.headers.authorization);
    switch (check.kind) {
      case "missing":
        return challenge(response, "An access token is needed.");
      case "rejected":
        if (check.foreign) counts.foreignBearers += 1;
        return challenge(response, `${check.why}.`, check.why);
      case "unavailable": {
        const detail = "The authorization server's keys cannot be fetched.";
        return sendProblem(response, { status: 503, code: "authorization_server_unavailable", detail }, { "retry-after": "2" });
      }
      case "accepted": {
        const { subject: user, expiresAt } = check;
        if (byUser.has(user) || byUser.size < countedUsers) byUser.set(user, (byUser.get(user) ?? 0) + 1);
        return route({ request, response, url: target, user, expiresAt });
      }
    }
  }

  async function route(call: Call): Promise<void> {
    const { request, response, url: target } = call;
    // /notes/{id} is the only address with a part that varies.
    const [, head = "", tail, ...more] = target.pathname.split("/");
    const path = more.length > 0 ? "" : tail === undefined ? `/${head}` : head === "notes" ? "/notes/{id}" : `/${head}/${tail}`;
    const methods = new Map(Object.entries(Object.hasOwn(routes, path) ? (routes[path] ?? {}) : {}));
    if (methods.size === 0) return sendProblem(response, { status: 404, code: "not_found", detail: "There is nothing at this address." });
    const handle = methods.get(request.method ?? "");
    if (handle !== undefined) return handle(call);
    const allow = [...methods.keys()].join(", ");
    sendProblem(response, { status: 405, code: "invalid_request", detail: `This address takes ${allow}.` }, { allow });
  }

  async function addNote({ request, response, user }: Call): Promise<void> {
    const body = await readBody(request, bodyLimitBytes);
    if (body.kind === "aborted") return;
    if (body.kind === "too_large")
      return sendProblem(response, { status: 413, code: "payload_too_large", detail: `At most ${bodyLimitBytes / 1024} KiB.` });
    const value = parseJson(body.text);
    const text: unknown = typeof value === "object" && value !== null && "text" in value ? value.text : undefined;
    if (typeof text !== "string" || text.trim() === "" || [...text].length > longestNote) {
      const detail = `The body must be JSON with "text": a string of 1 to ${longestNote} characters that are not all white space.`;
      return sendProblem(response, { status: 400, code: "invalid_request", detail });
    }
    const note = notes.add(user, text);
    if (note !== undefined) return sendJson(response, 201, note, { location: `${url}/notes/${note.id}` });
    sendProblem(response, { status: 409, code: "conflict", detail: "There is no room for another note. Delete some first." });
  }

  function deleteNote({ response, url: target, user }: Call): void {
    const id = target.pathname.slice("/notes/".length);
    // Another user's note is as unknown as one that never was.
    if (notes.remove(user, id)) sendJson(response, 200, { deleted: id });
    else sendProblem(response, { status: 404, code: "not_found", detail: "You have no such note." });
  }

  async function slowReport({ response, url: target, user }: Call): Promise<void> {
    const asked = target.searchParams.get("seconds") ?? "";
    if (!/^\d{1,3}$/.test(asked) || Number(asked) > longestReportSeconds) {
      const detail = `seconds must be a whole number from 0 to ${longestReportSeconds}.`;
      return sendProblem(response, { status: 400, code: "invalid_request", detail });
    }
    counts.runningReports += 1;
    try {
      await streamSlowReport(response, clock, { user, seconds: Number(asked), countNotes: () => notes.count(user) });
    } finally {
      counts.runningReports -= 1;
    }
  }
}

/** 401 with what is wrong, for the client to fetch a new token (RFC 6750, section 3). */
function challenge(response: ServerResponse, detail: string, why?: string): void {
  const error = why === undefined ? "" : `, error="invalid_token", error_description="${why.replaceAll('"', "'")}"`;
  sendProblem(response, { status: 401, code: "unauthorized", detail }, { "www-authenticate": `Bearer realm="latchkey-demo"${error}` });
}
