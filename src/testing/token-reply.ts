import type { Plan } from "./behaviour-rules.ts";
import type { ServerState } from "./server-state.ts";
import type { Family } from "./token-families.ts";

/** A token reply as JSON has it. */
export interface TokenReply {
  readonly accessToken: string;
  readonly idToken: string | undefined;
  readonly expiresInSeconds: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface TokenReplyOrder {
  readonly family: Family;
  /** Undefined: the reply has none. */
  readonly refreshToken: string | undefined;
  /** When the refresh token ends, in ms since the epoch. */
  readonly refreshExpiresAt: number;
  /** The reply to a login has the nonce. */
  readonly isLogin: boolean;
}

/** Makes an access token, and an ID token where the scope has `openid`, and puts the reply together. */
export async function makeTokenReply(state: ServerState, plan: Plan, order: TokenReplyOrder): Promise<TokenReply> {
  const { family, refreshToken } = order;
  const now = state.clock.now();
  const expiresInSeconds = plan.get("access_token_life")?.seconds ?? 300;
  if (plan.get("old_access_token_dies") !== undefined) state.families.dropAccessTokensOf(family);
  const accessToken = state.families.addAccessToken(family, expiresInSeconds);
  const idToken = await idTokenOf(state, plan, order);
  const body: Record<string, unknown> = {
    access_token: accessToken,
    token_type: "Bearer",
    expires_in: expiresInSeconds,
    scope: family.scope,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(idToken === undefined ? {} : { id_token: idToken }),
    ...(plan.get("refresh_token_life")?.told === true ? { refresh_expires_in: Math.floor((order.refreshExpiresAt - now) / 1000) } : {}),
    ...plan.get("reply_fields")?.fields,
  };
  return { accessToken, idToken, expiresInSeconds, body };
}

async function idTokenOf(state: ServerState, plan: Plan, { family, isLogin }: TokenReplyOrder): Promise<string | undefined> {
  const flaw = plan.get("id_token")?.flaw;
  if (flaw === "missing" || !family.scope.split(" ").includes("openid")) return undefined;
  const skew = plan.get("clock_skew");
  return await state.signing.idToken({
    issuer: state.issuer(),
    family,
    now: state.clock.now() + (skew === undefined || skew.shows === "date_header" ? 0 : skew.seconds * 1000),
    lifeSeconds: 300,
    algorithm: plan.get("id_token_algorithm")?.algorithm ?? "ES256",
    flaw,
    nonce: isLogin ? family.nonce : undefined,
  });
}
