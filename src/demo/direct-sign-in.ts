import { createHash, randomBytes } from "node:crypto";
import { signInByForm } from "./scripted-browser.ts";

/** Tokens of one login, as the token endpoint gave them. */
export interface DirectTokens {
  readonly idToken: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresInSeconds: number;
}

export interface DirectSignIn {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
}

/** The code flow with PKCE (RFC 7636) in one go, for a user who fills the form at once. Throws when the server answers otherwise than with tokens. */
export async function signInDirectly(client: DirectSignIn, user: string): Promise<DirectTokens> {
  const verifier = randomBytes(32).toString("base64url");
  const authorization = new URL(`${client.issuer}/auth`);
  authorization.search = new URLSearchParams({
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    response_type: "code",
    scope: "openid profile email offline_access",
    prompt: "consent",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  }).toString();
  const callback = await signInByForm(authorization.href, user);
  const response = await fetch(`${client.issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${client.clientId}:${client.clientSecret}`).toString("base64")}` },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: callback.searchParams.get("code") ?? "",
      redirect_uri: client.redirectUri,
      code_verifier: verifier,
    }),
  });
  if (!response.ok) throw new Error(`The demo's authorization server gave no tokens for ${user}: status ${response.status}.`);
  return readTokens(await response.json());
}

function readTokens(reply: unknown): DirectTokens {
  const entry = (name: string): unknown => (typeof reply === "object" && reply !== null ? Reflect.get(reply, name) : undefined);
  const [idToken, accessToken, refreshToken, expiresInSeconds] = ["id_token", "access_token", "refresh_token", "expires_in"].map(entry);
  if (
    typeof idToken === "string" &&
    typeof accessToken === "string" &&
    typeof refreshToken === "string" &&
    typeof expiresInSeconds === "number"
  )
    return { idToken, accessToken, refreshToken, expiresInSeconds };
  throw new Error("The demo's authorization server gave an incomplete token reply.");
}
