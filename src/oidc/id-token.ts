import { claimProblems, type ExpectedClaims, type Timeliness, timeliness } from "./id-token-claims.ts";
import { type Claims, type Trust, verifySignature } from "./id-token-signature.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { type Failure, settingPath } from "./unavailable.ts";

/** What an ID token has to prove, and when. */
export interface IdTokenExpectation extends ExpectedClaims {
  /** The ID token has to be valid at one of these moments, by this machine's clock or by the issuer's; ms since the epoch. */
  readonly validAt: readonly [number, ...number[]];
  /**
   * By how much this machine's clock is ahead of the issuer's, where that was measured. A function, since fetching the keys
   * measures too.
   */
  readonly clockAheadSeconds: () => number | undefined;
}

/** What an ID token is worth. Each `problem` is a clause for people, without the token. */
export type IdTokenCheck =
  | { readonly kind: "valid"; readonly claims: Claims }
  /** Not ours, or not signed by them: no clock and no key fetch will change that. */
  | { readonly kind: "rejected"; readonly problem: string }
  | { readonly kind: "unknown_key"; readonly asOf: number; readonly problem: string }
  /** All is well but the times, and they are off by no more than a wrong clock or time zone explains. */
  | { readonly kind: "clock_off"; readonly problem: string }
  | { readonly kind: "keys_unavailable"; readonly failure: Failure };

/** Off by more than a day is no clock skew any more: time zones reach over 14 hours. */
const plausibleSkewSeconds = 24 * 3600;

/** Validates an ID token: signature, issuer, subject, audience, nonce, times (OIDC Core 3.1.3.7). Never rejects. */
export async function checkIdToken(
  jwt: string,
  settings: AuthorizationServerSettings,
  trust: Trust,
  expected: IdTokenExpectation,
): Promise<IdTokenCheck> {
  const signature = await verifySignature(jwt, trust);
  switch (signature.kind) {
    case "unavailable":
      return { kind: "keys_unavailable", failure: signature.failure };
    case "unknown_key":
      return { kind: "unknown_key", asOf: signature.asOf, problem: `the ID token is not accepted: ${signature.problem}` };
    case "bad":
      return { kind: "rejected", problem: `the ID token is not accepted: ${signature.problem}` };
    case "good": {
      const problems = claimProblems(signature.claims, expected);
      if (problems.length > 0) return { kind: "rejected", problem: `the ID token is not accepted: ${problems.join("; ")}` };
      return checkTimes(signature.claims, settings, expected);
    }
  }
}

function checkTimes(claims: Claims, settings: AuthorizationServerSettings, expected: IdTokenExpectation): IdTokenCheck {
  const judge = (at: number): Timeliness => timeliness(claims, at, settings.clockToleranceSeconds);
  const nearest = expected.validAt.map(judge).reduce((best, each) => (offBySeconds(each) < offBySeconds(best) ? each : best));
  if (nearest.kind === "valid") return { kind: "valid", claims };
  const ahead = expected.clockAheadSeconds() ?? 0;
  // The ID token came from the issuer itself just now: by the clock that dated it, it is judged right (decision 0010).
  if (expected.validAt.some((at) => judge(at - ahead * 1000).kind === "valid")) return { kind: "valid", claims };
  const what = nearest.kind === "expired" ? `expired ${nearest.bySeconds} s ago` : `was issued ${nearest.bySeconds} s in the future`;
  if (nearest.bySeconds > plausibleSkewSeconds) return { kind: "rejected", problem: `the ID token is not accepted: it ${what}` };
  const side = ahead > 0 ? "ahead of" : "behind";
  const seen = Math.abs(ahead) < 2 ? "" : ` (by its answers this clock is ${Math.abs(ahead)} s ${side} the authorization server's)`;
  const setting = settingPath(settings, "clockToleranceSeconds");
  return {
    kind: "clock_off",
    problem: `by this machine's clock the ID token ${what}${seen}: set the clock right, or raise ${setting} (now ${settings.clockToleranceSeconds})`,
  };
}

function offBySeconds(timeliness: Timeliness): number {
  return timeliness.kind === "valid" ? 0 : timeliness.bySeconds;
}
