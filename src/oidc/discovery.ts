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
 * Fetches and checks the discovery document of an issuer: OpenID Connect's address first, then RFC 8414's if that one does not
 * exist. The issuer in it must be the configured one to the character (OpenID Connect Discovery 1.0, section 4.3), a slash at
 * the end included: ID tokens are compared with it. Where the settings give the authorization, token and key endpoints, a
 * document that cannot be had is not missed; one of another issuer still is an error. Never rejects.
 */
export async function discover(settings: AuthorizationServerSettings, request: Omit<DocumentRequest, "address">): Promise<Discovered> {
  let failure: Failure | undefined;
  let exists = false;
  for (const address of discoveryAddresses(settings.issuer)) {
    const fetched = await fetchDocument({ ...request, address });
    if (fetched.kind === "fetched") {
      const problem = issuerProblem(settings, fetched.document);
      if (problem !== undefined) return { kind: "failed", failure: { problem } };
      return { kind: "discovered", metadata: readMetadata(settings, fetched.document) };
    }
    failure ??= fetched.failure;
    exists = fetched.status !== 404;
    if (exists) break;
  }
  const missing = failure ?? { problem: "it has no discovery document" };
  if (!saysEnough(settings)) return { kind: "failed", failure: missing };
  const metadata = readMetadata(settings, {});
  return exists ? { kind: "from_settings", metadata, failure: missing } : { kind: "discovered", metadata };
}

function discoveryAddresses(issuer: string): readonly string[] {
  const url = new URL(issuer);
  const path = url.pathname.replace(/\/$/, "");
  return [`${url.origin}${path}/.well-known/openid-configuration`, `${url.origin}/.well-known/oauth-authorization-server${path}`];
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
