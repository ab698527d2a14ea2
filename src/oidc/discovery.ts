import { type DocumentRequest, fetchDocument } from "./fetch-document.ts";
import { nonEmptyString } from "./json.ts";
import { type Metadata, readMetadata } from "./metadata.ts";
import { safeText } from "./safe-text.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { type Failure, settingPath } from "./unavailable.ts";

/** What became of one look at the discovery document. */
export type Discovered =
  | { readonly kind: "discovered"; readonly metadata: Metadata }
  /** The settings alone say enough; the document could not be had, for this reason. */
  | { readonly kind: "from_settings"; readonly metadata: Metadata; readonly failure: Failure }
  | { readonly kind: "failed"; readonly failure: Failure };

/**
 * Fetches and checks the discovery document of an issuer: at OpenID Connect's address first, then, as long as there is none,
 * at RFC 8414's and at the two that servers make of those by mistake. The issuer in it must be the configured one to the character (OpenID Connect Discovery 1.0, section 4.3), a slash at
 * the end included: ID tokens are compared with it. Where the settings give the authorization, token and key endpoints, a
 * document that cannot be had is not missed; one of another issuer still is an error. Never rejects.
 */
export async function discover(settings: AuthorizationServerSettings, request: Omit<DocumentRequest, "address">): Promise<Discovered> {
  let failure: Failure | undefined;
  let wrong: Failure | undefined;
  let absent = true;
  const [first, ...others] = discoveryAddresses(settings.issuer);
  for (const address of [first, ...others]) {
    const fetched = await fetchDocument({ ...request, address });
    if (fetched.kind === "fetched") {
      const problem = issuerProblem(settings, fetched.document);
      if (problem === undefined) return { kind: "discovered", metadata: readMetadata(settings, fetched.document) };
      if (address === first) return { kind: "failed", failure: { problem } };
      // Beyond the proper address it may be the document of somebody else at the same origin.
      wrong ??= { problem };
      continue;
    }
    failure ??= fetched.failure;
    absent &&= fetched.status === 404 || fetched.status === 410;
    if (!mayBeElsewhere(fetched.status)) break;
  }
  if (wrong !== undefined) return { kind: "failed", failure: wrong };
  const missing = failure ?? { problem: "it has no discovery document" };
  if (!saysEnough(settings)) return { kind: "failed", failure: missing };
  const metadata = readMetadata(settings, {});
  return absent ? { kind: "discovered", metadata } : { kind: "from_settings", metadata, failure: missing };
}

function discoveryAddresses(issuer: string): readonly [string, ...string[]] {
  const url = new URL(issuer);
  const path = url.pathname.replace(/\/$/, "");
  const [openid, oauth] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
  const proper: [string, string] = [`${url.origin}${path}${openid}`, `${url.origin}${oauth}${path}`];
  return path === "" ? proper : [...proper, `${url.origin}${openid}${path}`, `${url.origin}${path}${oauth}`];
}

/** There is nothing here, by a 4xx, or by a page with 200 as an application with routes of its own sends it. An outage is no such word. */
function mayBeElsewhere(status: number | undefined): boolean {
  return status === 200 || (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429);
}

function saysEnough({ endpoints }: AuthorizationServerSettings): boolean {
  return endpoints?.authorization !== undefined && endpoints.token !== undefined && endpoints.jwks !== undefined;
}

function issuerProblem(settings: AuthorizationServerSettings, document: Readonly<Record<string, unknown>>): string | undefined {
  const found = nonEmptyString(document.issuer);
  if (found === settings.issuer) return undefined;
  const setting = settingPath(settings, "issuer");
  if (found === undefined) return `its discovery document names no issuer, so it cannot be checked against ${setting} (${settings.issuer})`;
  const shown = safeText(found) ?? "";
  const both = `its discovery document says that the issuer is ${shown}, but ${setting} is ${settings.issuer}`;
  if (found.replace(/\/$/, "") === settings.issuer.replace(/\/$/, ""))
    return `${both}: they differ by the slash at the end, which counts; set ${setting} to ${shown}`;
  if (/\{[^}]*\}/.test(found)) return `${both}: set ${setting} to the issuer of your own tenant`;
  return `${both}: set ${setting} to the issuer that signs your users in`;
}
