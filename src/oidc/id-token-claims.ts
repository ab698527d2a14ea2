import type { Claims } from "./id-token-signature.ts";
import { nonEmptyString } from "./json.ts";
import { safeText } from "./safe-text.ts";

/** What the claims have to say. */
export interface ExpectedClaims {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined: any user. */
  readonly subject?: string | undefined;
  /** Undefined: not looked at, as on refresh (OIDC Core 12.2). */
  readonly nonce?: string | undefined;
}

/** Everything that is wrong with whom and what an ID token is for (OIDC Core 3.1.3.7 and 12.2), as clauses about "it"; its times aside. */
export function claimProblems(claims: Claims, expected: ExpectedClaims): readonly string[] {
  const problems: string[] = [];
  if (claims.iss !== expected.issuer)
    problems.push(`it is from the issuer ${safeText(claims.iss) ?? "(none)"}, not from ${expected.issuer}`);
  const subject = nonEmptyString(claims.sub);
  if (subject === undefined) problems.push("it names no subject");
  else if (expected.subject !== undefined && subject !== expected.subject) problems.push("it is about another user");
  if (!isAudience(claims.aud, expected.clientId)) problems.push(`it is not for the client ${expected.clientId}`);
  // Absent with several audiences is accepted: some servers leave it out, and the client is among the audiences.
  if (claims.azp !== undefined && claims.azp !== expected.clientId)
    problems.push(`it was issued to another client than ${expected.clientId} (azp)`);
  if (expected.nonce !== undefined && claims.nonce !== expected.nonce) problems.push("its nonce is not the one of this sign-in");
  if (!isTime(claims.exp)) problems.push("it has no expiry");
  if (claims.iat !== undefined && !isTime(claims.iat)) problems.push("its time of issue is not a time");
  if (claims.nbf !== undefined && !isTime(claims.nbf)) problems.push("its not-before is not a time");
  return problems;
}

/** How an ID token stands to a moment. */
export type Timeliness = { readonly kind: "valid" } | { readonly kind: "expired" | "early"; readonly bySeconds: number };

/** Whether an ID token is valid at `at` (milliseconds since the epoch), and by how much it is not, the tolerance not counted. */
export function timeliness(claims: Claims, at: number, toleranceSeconds: number): Timeliness {
  const now = Math.floor(at / 1000);
  const expiredBy = isTime(claims.exp) ? now - claims.exp : 0;
  if (isTime(claims.exp) && expiredBy >= toleranceSeconds) return { kind: "expired", bySeconds: expiredBy };
  const earlyBy = Math.max(...[claims.iat, claims.nbf].map((begin) => (isTime(begin) ? Math.ceil(begin) - now : 0)));
  return earlyBy > toleranceSeconds ? { kind: "early", bySeconds: earlyBy } : { kind: "valid" };
}

function isAudience(audience: unknown, clientId: string): boolean {
  return audience === clientId || (Array.isArray(audience) && audience.includes(clientId));
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
