import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { type Api, ApiDirectory, type ApiSettings } from "./api.ts";
import type { CallHost } from "./call-host.ts";
import { CallSignal } from "./call-signal.ts";
import { guardResponse } from "./guarded-response.ts";
import { followRedirect, isReplayable, isUnsafe, type OutgoingRequest, outgoingRequest } from "./outgoing-request.ts";

/** `fetch` as the signed-in user; see `ToolContext.fetch`. */
export type ApiFetch = (input: string | URL, init?: RequestInit) => Promise<Response>;

const mostRedirects = 5;

/**
 * Makes the `fetch` of one running call.
 *
 * The address must belong to a configured API. The access token goes only to that API's origin and base path; a chain
 * of redirects that has left it goes on without the access token, even when it comes back. After a 401 the access
 * token is reported as rejected and the request is sent once more, if its body can be and the access token is a new
 * one; otherwise the 401 is the answer. Of `init`, the method, headers, body, signal and redirect mode count.
 *
 * Throws LatchkeyError: `forbidden`, `invalid_request` (address, headers), what `CallHost.acquire` throws, the reason
 * of the call's signal, `cancelled`, and `upstream_failed` (retryable) for silence, a broken connection, or a redirect
 * that is refused.
 */
export function createApiFetch(
  host: CallHost,
  apis: readonly ApiSettings[],
  services: { readonly clock: Clock; readonly logger: Logger },
): ApiFetch {
  let directory: ApiDirectory | undefined;
  return async (input, init = {}) => {
    directory ??= new ApiDirectory(apis);
    const { url, api } = directory.mustFind(input);
    const request = outgoingRequest(url, init);
    const signal = new CallSignal(api.settings, host.signal, init.signal ?? undefined, services.clock);
    const call: ApiCall = { api, host, signal, directory, redirect: init.redirect ?? "follow", logger: services.logger };
    const first = await acquire(call, undefined);
    const answer = await exchange(call, { request, redirects: 0, left: false }, first);
    return guardResponse(answer.response, signal, answer.accessToken, isUnsafe(answer.leg.request), answer.leg.redirects > 0);
  };
}

interface ApiCall {
  readonly api: Api;
  readonly host: CallHost;
  readonly signal: CallSignal;
  readonly directory: ApiDirectory;
  readonly redirect: NonNullable<RequestInit["redirect"]>;
  readonly logger: Logger;
}

/** Where in its chain of redirects a call is. `left`: the chain has been outside the API. */
interface Leg {
  readonly request: OutgoingRequest;
  readonly redirects: number;
  readonly left: boolean;
}

interface Answer {
  readonly leg: Leg;
  readonly response: Response;
  /** The one that was sent last. */
  readonly accessToken: string;
}

async function exchange(call: ApiCall, start: Leg, accessToken: string): Promise<Answer> {
  const first = await follow(call, start, accessToken);
  if (first.response.status !== 401 || first.leg.left) return first;
  try {
    // The next call needs a new access token as well, so a request that cannot be repeated reports the old one too.
    const fresh = await acquire(call, accessToken);
    if (fresh === accessToken || !isReplayable(first.leg.request)) return first;
    call.logger.debug("An API refused an access token; the request goes once more with a new one.", { api: call.api.settings.name });
    await discard(first.response);
    return await follow(call, first.leg, fresh);
  } catch (error) {
    await discard(first.response);
    throw error;
  }
}

/** Sends the request and those that the answers redirect to, under one time limit. */
function follow(call: ApiCall, start: Leg, accessToken: string): Promise<Answer> {
  return call.signal.limit(isUnsafe(start.request), async () => {
    for (let leg = start; ; ) {
      const response = await send(call, leg, accessToken);
      if (call.redirect === "manual") return { leg, response, accessToken };
      const redirect = followRedirect(leg.request, response);
      if (redirect.kind === "none") return { leg, response, accessToken };
      await discard(response);
      if (redirect.kind === "refused") throw refusedRedirect(call, redirect.problem);
      if (call.redirect === "error") throw refusedRedirect(call, "redirects, which this call does not allow");
      if (leg.redirects === mostRedirects) throw refusedRedirect(call, `redirects more than ${mostRedirects} times`);
      const left = leg.left || call.directory.find(redirect.request.url) !== call.api;
      leg = { request: redirect.request, redirects: leg.redirects + 1, left };
    }
  });
}

function send(call: ApiCall, leg: Leg, accessToken: string): Promise<Response> {
  const { url, method, body } = leg.request;
  const headers = new Headers(leg.request.headers);
  if (!leg.left) headers.set("authorization", `Bearer ${accessToken}`);
  const streamed = isReplayable(leg.request) ? {} : { duplex: "half" as const };
  return fetch(url, { method, headers, body: body ?? null, signal: call.signal.signal, redirect: "manual", ...streamed });
}

async function acquire(call: ApiCall, rejected: string | undefined): Promise<string> {
  const { resource, scopes } = call.api.settings;
  const { accessToken } = await call.signal.race(call.host.acquire({ resource, scopes }, { rejected }));
  // Checked here, since fetch would quote it in its own error.
  if (/^[\x21-\x7e]+$/.test(accessToken)) return accessToken;
  throw new LatchkeyError("internal_error", "The authorization server issued an access token that no HTTP header can carry.");
}

function refusedRedirect(call: ApiCall, problem: string): LatchkeyError {
  const { name } = call.api.settings;
  return new LatchkeyError("upstream_failed", `The API "${name}" ${problem}.`, { details: { api: name } });
}

async function discard(response: Response): Promise<void> {
  // Frees the connection. That the body broke off does not matter any more.
  await response.body?.cancel().catch(() => {});
}
