import { z } from "zod";
import { address, count, seconds, secret, text } from "./fields.ts";
import { presetNames } from "./presets.ts";

const endpoint = (what: string) => address({ httpsBeyondLoopback: true }).optional().describe(`${what} Default: from discovery.`);

/** Ten years: beyond it a number is a mistake. */
const longest = 315_360_000;

/** One authorization server (RFC 6749, OpenID Connect Core) and what is known of its tokens. */
export const authorizationServerSection = z.strictObject({
  preset: z
    .enum(["auto", "none", ...presetNames])
    .default("auto")
    .describe("The product it is: fills in the settings below that are not written. Default: auto (by its issuer, where that tells)."),
  issuer: address({ httpsBeyondLoopback: true }).describe(
    'The issuer identifier, exactly as the authorization server writes it, such as "https://login.example.com".',
  ),
  clientId: text().describe("The client id that Latchkey has at the authorization server."),
  clientSecret: secret("The client secret. Default: none (a public client).").optional(),
  clientAuthentication: z
    .enum(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"])
    .optional()
    .describe(
      "How Latchkey authenticates at the token endpoint. Default: private_key_jwt with clientKey, none without a secret, else what discovery announces, basic first.",
    ),
  clientSecretEncoding: z
    .enum(["form", "raw"])
    .default("form")
    .describe("With client_secret_basic: id and secret percent-encoded as RFC 6749, section 2.3.1 has it, or as they are. Default: form."),
  clientKey: secret("The private key for private_key_jwt (RFC 7523): PEM, or a JWK. Default: none.").optional(),
  clientKeyId: text().optional().describe("The kid of clientKey at the authorization server. Default: that of the JWK, else none."),
  clientAssertionAudience: z
    .enum(["issuer", "token_endpoint"])
    .default("issuer")
    .describe("The audience of the JWT that private_key_jwt signs. Default: issuer."),
  scopes: z
    .array(
      z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/, { error: "must be one scope, without spaces and quotes (RFC 6749, section 3.3)" }),
    )
    .default(["openid", "profile", "email", "offline_access"])
    .describe("Scopes that a login asks for. Default: openid profile email offline_access."),
  resource: text().optional().describe("Resource indicator (RFC 8707) that a login asks for. Default: none."),
  resourceParameter: z
    .enum(["always", "login", "never"])
    .default("always")
    .describe("Where the resource indicator is sent: at login and refresh, at the login alone, or nowhere. Default: always."),
  refreshScope: z
    .enum(["send", "omit"])
    .default("send")
    .describe(
      "Whether a refresh names the scopes of an API that has some; with omit its access tokens have all scopes of the login. Default: send.",
    ),
  prompt: z
    .string()
    .optional()
    .describe(
      'The prompt parameter of a login (OpenID Connect Core, section 3.1.2.1). Default: "consent" with offline_access, else none; "" sends none.',
    ),
  extraAuthorizationParameters: z
    .record(text(), z.string())
    .default({})
    .describe('Further parameters of the authorization request, such as {"audience": "…"}. Default: none.'),
  endpoints: z
    .strictObject({
      authorization: endpoint("The authorization endpoint."),
      deviceAuthorization: endpoint("The device authorization endpoint (RFC 8628)."),
      token: endpoint("The token endpoint."),
      revocation: endpoint("The revocation endpoint (RFC 7009)."),
      introspection: endpoint("The introspection endpoint (RFC 7662)."),
      endSession: endpoint("The end-session endpoint (RP-Initiated Logout)."),
      userinfo: endpoint("The userinfo endpoint."),
      jwks: endpoint("The key set (JWKS)."),
    })
    .prefault({})
    .describe("Endpoints that discovery lacks or that it names wrongly."),
  loopbackPort: count({ min: 0, max: 65_535 })
    .default(0)
    .describe(
      "The port of 127.0.0.1 to which the browser comes back at a sign-in of the local side, for a server that does not take any (RFC 8252, section 7.3). Default: 0 (a free one).",
    ),
  requestTimeoutSeconds: seconds({ min: 1, max: 120 })
    .default(10)
    .describe("How long a request may take, in seconds; a refresh has its own limit (refresh.timeoutSeconds). Default: 10."),
  clockToleranceSeconds: seconds({ min: 0, max: 600 })
    .default(60)
    .describe("How far its clock may be off when ID tokens are checked, in seconds. Default: 60."),
  accessTokenLifetimeSeconds: seconds({ min: 1, max: longest })
    .optional()
    .describe("How long its access tokens live, in seconds; only used to check this configuration. Default: unknown."),
  refreshTokenLifetimeSeconds: seconds({ min: 1, max: longest })
    .optional()
    .describe("How long a refresh token lives when it is not used, in seconds. Default: unknown, or what the authorization server says."),
  deadGrantCodes: z
    .array(z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,39}$/, { error: "must be one error code, such as token_inactive" }))
    .default([])
    .describe("Error codes at a refresh that mean what invalid_grant means: the user has to sign in again. Default: none besides it."),
  reuseLeewaySeconds: seconds({ min: 0, max: 3600 })
    .optional()
    .describe(
      "Within this time, in seconds, it accepts a refresh token that it has replaced already, and a lost reply is asked for again. Wrongly set, that raises a reuse alarm. Default: it does not.",
    ),
  rotation: z
    .enum(["auto", "always", "never"])
    .default("auto")
    .describe("Whether a refresh gives a new refresh token. Default: auto (what was seen)."),
  lostReply: z
    .enum(["present", "retire"])
    .default("present")
    .describe(
      "When the reply to a refresh was lost and nothing else helps: present the refresh token a last time, or retire it. Default: present.",
    ),
  sharedGrant: z
    .enum(["wait", "user", "revoke"])
    .default("wait")
    .describe(
      "At logout, while another live login session shares the grant: wait for the last of them, or revoke at once. user: wait, and all logins of a user are one grant. Default: wait.",
    ),
  introspection: z
    .enum(["auto", "never"])
    .default("auto")
    .describe("Whether to ask about refresh tokens (RFC 7662). Default: auto (where the answers proved right)."),
});
