import type { KoaContextWithOIDC } from "oidc-provider";
import type { ProviderRecords } from "./provider-records.ts";
import type { TokenEvents } from "./token-events.ts";

/**
 * Writes down what an answered request did to tokens. It looks at the finished answer, so that each event is told once
 * and only if it came to pass.
 */
export function recordTokenEvents(context: KoaContextWithOIDC, records: ProviderRecords, events: TokenEvents): void {
  switch (context.oidc.route) {
    case "token":
      recordTokenRequest(context, records, events);
      break;
    case "introspection":
      recordIntrospection(context, records, events);
      break;
  }
  // Revocation, reuse, or a code that was used twice.
  for (const owner of records.takeEnded()) events.record("revoked", owner);
}

function recordTokenRequest({ status, body, oidc }: KoaContextWithOIDC, records: ProviderRecords, events: TokenEvents): void {
  const presented = stringIn(oidc.params, "refresh_token");
  const isRefresh = oidc.params?.grant_type === "refresh_token";
  if (status === 200) {
    const issued = records.refreshToken(stringIn(body, "refresh_token"));
    events.record(isRefresh ? "refreshed" : "issued", issued);
  } else if (isRefresh && stringIn(body, "error") === "invalid_grant") {
    const known = records.refreshToken(presented);
    if (known?.consumed) events.record("reuse", known);
  }
}

function recordIntrospection({ status, body, oidc }: KoaContextWithOIDC, records: ProviderRecords, events: TokenEvents): void {
  if (status !== 200 || typeof body !== "object" || body === null || !("active" in body)) return;
  events.record("introspected", records.refreshToken(stringIn(oidc.params, "token")), { active: body.active === true });
}

function stringIn(value: unknown, name: string): string {
  const entry: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  return typeof entry === "string" ? entry : "";
}
