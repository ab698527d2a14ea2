import { LatchkeyError } from "../errors.ts";

/** A protected API that tools may call as the signed-in user. */
export interface ApiSettings {
  readonly name: string;
  /** Absolute http or https address; everything at or below its path belongs to the API. */
  readonly baseUrl: string;
  /** Resource indicator of its access tokens (RFC 8707). */
  readonly resource?: string | undefined;
  readonly scopes: readonly string[];
  /** How long the API may stay silent: before its answer begins, and between two parts of its body. */
  readonly timeoutSeconds: number;
}

/** An API whose base address was checked. `basePath` has no slash at its end: "" is the whole origin. */
export interface Api {
  readonly settings: ApiSettings;
  readonly origin: string;
  readonly basePath: string;
}

/** Which addresses belong to which API. Immutable. */
export class ApiDirectory {
  readonly #apis: readonly Api[];

  /** Throws LatchkeyError `configuration_invalid` with all problems of all base addresses. */
  constructor(settings: readonly ApiSettings[]) {
    const problems = settings.flatMap(findApiProblems);
    if (problems.length > 0) throw new LatchkeyError("configuration_invalid", problems.join("\n"), { details: { problems } });
    // The longest base first: /v1/admin is asked before /v1, and that before the whole origin.
    this.#apis = settings.map(toApi).sort((one, other) => other.basePath.length - one.basePath.length);
  }

  /** The API that the address belongs to: the same origin, and the longest base path at or above its path. */
  find(url: URL): Api | undefined {
    if (url.username !== "" || url.password !== "" || climbs(url.pathname)) return undefined;
    return this.#apis.find((api) => url.origin === api.origin && isUnder(url.pathname, api.basePath));
  }

  /**
   * The address, normalised, and its API. Throws LatchkeyError `invalid_request` for an address that is not absolute,
   * and `forbidden` for one that no API owns, that carries credentials, is neither http nor https, or hides a way up
   * ("..%2f") in its path.
   */
  mustFind(input: string | URL): { readonly url: URL; readonly api: Api } {
    const url = parseAddress(input);
    if (url === undefined) throw new LatchkeyError("invalid_request", "context.fetch needs an absolute http or https address.");
    if (url.protocol !== "http:" && url.protocol !== "https:") throw forbidden(`Addresses of ${url.protocol} cannot be called.`);
    if (url.username !== "" || url.password !== "")
      throw forbidden(`The address at ${url.origin} carries credentials; Latchkey attaches the access token by itself.`);
    if (climbs(url.pathname)) throw forbidden(`The path of the address at ${url.origin} hides a step upwards ("..").`);
    const api = this.find(url);
    if (api === undefined) throw this.#unknown(url);
    return { url, api };
  }

  #unknown(url: URL): LatchkeyError {
    const sameOrigin = this.#apis.filter((api) => api.origin === url.origin);
    const known = this.#apis.map((api) => api.settings.name).join(", ") || "none";
    const where =
      sameOrigin.length > 0 ? `The path at ${url.origin} is outside the base address of every API.` : `${url.origin} is no API's.`;
    return forbidden(`${where} Call an address of a configured API (${known}), or add one under "apis" in the configuration.`, url.origin);
  }
}

/** What is wrong with the settings of an API, in sentences; empty when nothing is. */
export function findApiProblems(settings: ApiSettings): readonly string[] {
  const where = `apis.${settings.name}`;
  const url = parseAddress(settings.baseUrl);
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    return [`${where}.baseUrl must be an absolute http or https address`];
  const problems: string[] = [];
  if (url.username !== "" || url.password !== "") problems.push(`${where}.baseUrl must not carry credentials`);
  if (url.search !== "" || url.hash !== "") problems.push(`${where}.baseUrl must have neither query nor fragment`);
  if (climbs(url.pathname)) problems.push(`${where}.baseUrl must not contain steps upwards ("..")`);
  if (!(settings.timeoutSeconds > 0)) problems.push(`${where}.timeoutSeconds must be more than 0`);
  return problems;
}

function toApi(settings: ApiSettings): Api {
  const url = new URL(settings.baseUrl);
  return { settings, origin: url.origin, basePath: url.pathname.replace(/\/+$/, "") };
}

function parseAddress(input: string | URL): URL | undefined {
  // A copy: the caller may change its URL object while we wait.
  return URL.parse(String(input)) ?? undefined;
}

function isUnder(path: string, basePath: string): boolean {
  return path === basePath || path.startsWith(`${basePath}/`);
}

/**
 * Whether a path would climb if somebody on the way decodes it, once or more often. The URL parser has resolved ".."
 * and "%2e%2e" already; what is left hides behind an encoded slash or an encoded percent sign.
 */
function climbs(path: string): boolean {
  let decoded = path;
  for (;;) {
    const next = decoded.replace(/%(2e|2f|3b|5c|25)/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
    if (next === decoded) break;
    decoded = next;
  }
  // Some servers cut "..;x" down to "..": a parameter of the segment (RFC 3986, section 3.3).
  return decoded.split(/[/\\]/).some((segment) => /^\.\.?(;|$)/.test(segment));
}

function forbidden(message: string, origin?: string): LatchkeyError {
  return new LatchkeyError("forbidden", message, origin === undefined ? {} : { details: { origin } });
}
