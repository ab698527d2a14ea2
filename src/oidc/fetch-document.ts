import { AnswerFault } from "./answer-fault.ts";
import { addressProblem, isPlainHttp } from "./endpoint-address.ts";
import type { HttpExchange, HttpRequest } from "./http-exchange.ts";
import { parseJsonObject } from "./json.ts";
import { retryAfterSeconds } from "./retry-after.ts";
import type { Failure } from "./unavailable.ts";

/** A public document, or why it could not be had. */
export type FetchedDocument =
  | { readonly kind: "fetched"; readonly document: Readonly<Record<string, unknown>>; readonly receivedAt: number }
  /** `status`: set when the server answered, and not with a document. */
  | { readonly kind: "failed"; readonly status?: number | undefined; readonly failure: Failure };

/** Which document, within which time, by whom. The time is for each hop. */
export interface DocumentRequest {
  readonly address: string;
  readonly timeoutMs: number;
  readonly send: (request: HttpRequest) => Promise<HttpExchange>;
}

const mostRedirects = 3;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** GETs a public JSON document: a discovery document or a key set. Follows up to three redirects that keep the scheme. Never rejects. */
export async function fetchDocument(request: DocumentRequest): Promise<FetchedDocument> {
  let address = request.address;
  for (let hop = 0; ; hop += 1) {
    const exchange = await request.send({
      url: address,
      method: "GET",
      headers: { accept: "application/json" },
      timeoutMs: request.timeoutMs,
    });
    if (exchange.kind !== "answered") return failed(exchange.fault.message, exchange.fault);
    const shown = withoutQuery(address);
    if (redirects.has(exchange.status)) {
      const next = redirectTarget(address, exchange.headers.get("location"));
      if (next.kind === "refused" || hop === mostRedirects)
        return failed(`${shown} redirects ${next.kind === "refused" ? next.problem : "too often"}`, undefined, exchange.status);
      address = next.address;
      continue;
    }
    const cause = new AnswerFault(shown, exchange, undefined);
    if (exchange.status !== 200) {
      const wait = retryAfterSeconds(exchange.headers, exchange.receivedAt);
      return { kind: "failed", status: exchange.status, failure: { problem: cause.message, retryAfterSeconds: wait, cause } };
    }
    if (exchange.bodyFault !== undefined) return failed(exchange.bodyFault.message, exchange.bodyFault);
    const document = parseJsonObject(exchange.body);
    if (document !== undefined) return { kind: "fetched", document, receivedAt: exchange.receivedAt };
    const type = exchange.headers.get("content-type")?.split(";")[0] ?? "none";
    return failed(`${shown} answered with something that is not JSON (content type ${type.slice(0, 40)})`, cause, exchange.status);
  }
}

function failed(problem: string, cause?: unknown, status?: number): FetchedDocument {
  return { kind: "failed", status, failure: { problem, cause } };
}

type RedirectTarget = { readonly kind: "follow"; readonly address: string } | { readonly kind: "refused"; readonly problem: string };

function redirectTarget(from: string, location: string | null): RedirectTarget {
  if (location === null || !URL.canParse(location, from)) return { kind: "refused", problem: "without saying where to" };
  const address = new URL(location, from).href;
  const problem = addressProblem(address);
  if (problem !== undefined) return { kind: "refused", problem: `to ${withoutQuery(address)}, which ${problem}` };
  if (isPlainHttp(address) !== isPlainHttp(from)) return { kind: "refused", problem: "to another scheme" };
  return { kind: "follow", address };
}

function withoutQuery(address: string): string {
  const url = new URL(address);
  return `${url.origin}${url.pathname}`;
}
