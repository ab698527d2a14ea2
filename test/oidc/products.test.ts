import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { authorizationServerSettings } from "../../src/composition/settings.ts";
import { loadConfig } from "../../src/config/load.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import type { RefreshToken } from "../../src/session/login-session.ts";
import type { RevocationOutcome } from "../../src/token/ports.ts";
import { ScriptedAuthorizationServer, type ScriptedRequest, sendJson, sendText } from "../support/scripted-authorization-server.ts";
import { recordingServices } from "./fixtures.ts";

const redirectUri = "http://127.0.0.1:8420/login/callback";
const secret = "canary-secret-of-the-client";

/** How a product behaves, as its documentation has it. */
interface Product {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly issuerPath?: string;
  readonly document?: Record<string, unknown>;
  /** What it has against an authorization request; undefined: nothing. */
  readonly refusesLogin?: (query: URLSearchParams) => string | undefined;
  /** What it has against a request to the token endpoint. */
  readonly refusesToken?: (request: ScriptedRequest) => string | undefined;
  /** The refresh token in the reply of refresh number `turn`; undefined: none. */
  readonly refreshTokenOf: (turn: number) => string | undefined;
  readonly reply?: Record<string, unknown>;
  readonly withoutIdTokenAtRefresh?: boolean;
  readonly dead: (response: ServerResponse) => void;
  /** Undefined: there is no such endpoint. */
  readonly revoke?: (form: URLSearchParams, response: ServerResponse) => void;
  readonly revoked: { readonly refresh_token: RevocationOutcome["kind"]; readonly access_token: RevocationOutcome["kind"] };
}

const rotating = (turn: number): string => `rt-${turn}`;
const invalidGrant =
  (status: number) =>
  (response: ServerResponse): void =>
    sendJson(response, status, { error: "invalid_grant", error_description: "whatever" });
const ok = (_form: URLSearchParams, response: ServerResponse): void => sendText(response, 200, "");
const everything = { refresh_token: "revoked", access_token: "revoked" } as const;
const refreshTokensOnly = (form: URLSearchParams, response: ServerResponse): void =>
  form.get("token")?.startsWith("rt-") === true
    ? sendText(response, 200, "")
    : sendJson(response, 400, { error: "unsupported_token_type" });
const secretInBody = ({ form, headers }: ScriptedRequest): string | undefined =>
  form.get("client_secret") === secret && headers.authorization === undefined ? undefined : "invalid_client";
const secretInHeader = ({ headers }: ScriptedRequest): string | undefined =>
  headers.authorization === `Basic ${btoa(`client-1:${secret}`)}` ? undefined : "invalid_client";
const needsConsent = (query: URLSearchParams): string | undefined =>
  query.get("scope")?.includes("offline_access") === true && query.get("prompt") === "consent" ? undefined : "no refresh token for this";
const noConsent = (query: URLSearchParams): string | undefined =>
  query.get("scope")?.includes("offline_access") === true && !query.has("prompt") ? undefined : "consent_required";
const noOfflineAccess = (query: URLSearchParams): string | undefined =>
  query.get("scope")?.includes("offline_access") === true ? "invalid_scope" : undefined;

const products: Readonly<Record<string, Product>> = {
  Keycloak: {
    // Not named: the issuer tells.
    settings: {},
    issuerPath: "/realms/main",
    refusesLogin: noConsent,
    refusesToken: secretInHeader,
    refreshTokenOf: rotating,
    reply: { refresh_expires_in: 0, "not-before-policy": 0, session_state: "s-1" },
    dead: invalidGrant(400),
    revoke: ok,
    revoked: everything,
  },
  "Okta, with refresh tokens that persist": {
    settings: { preset: "okta" },
    issuerPath: "/oauth2/default",
    refusesLogin: noConsent,
    refusesToken: secretInHeader,
    refreshTokenOf: () => "rt-0",
    dead: invalidGrant(400),
    revoke: ok,
    revoked: everything,
  },
  Auth0: {
    settings: { preset: "auth0", extraAuthorizationParameters: { audience: "https://notes.example" } },
    issuerPath: "/",
    refusesLogin: (query) => (query.get("audience") === "https://notes.example" ? noConsent(query) : "no audience"),
    refusesToken: secretInBody,
    refreshTokenOf: () => undefined,
    dead: invalidGrant(403),
    revoke: refreshTokensOnly,
    revoked: { refresh_token: "revoked", access_token: "unsupported" },
  },
  "Entra ID": {
    settings: { preset: "entra", resource: "https://notes.example" },
    issuerPath: "/0f0f/v2.0",
    document: { revocation_endpoint: undefined, introspection_endpoint: undefined },
    refusesLogin: (query) => (query.has("resource") ? "AADSTS9010010" : noConsent(query)),
    refusesToken: (request) => (request.form.has("resource") ? "invalid_target" : secretInBody(request)),
    refreshTokenOf: rotating,
    reply: { expires_in: "3599", ext_expires_in: 3599 },
    dead: (response) => sendJson(response, 400, { error: "interaction_required", suberror: "bad_token" }),
    revoked: { refresh_token: "unsupported", access_token: "unsupported" },
  },
  Google: {
    settings: { preset: "google", resource: "https://notes.example" },
    document: { introspection_endpoint: undefined, end_session_endpoint: undefined },
    refusesLogin: (query) =>
      noOfflineAccess(query) ??
      (query.has("resource") || query.get("access_type") !== "offline" || query.get("prompt") !== "consent"
        ? "invalid_request"
        : undefined),
    refusesToken: ({ form }) => (form.has("resource") ? "invalid_request" : undefined),
    refreshTokenOf: () => undefined,
    dead: invalidGrant(400),
    // Revoking the refresh token took the access tokens with it.
    revoke: (form, response) =>
      form.get("token")?.startsWith("rt-") === true ? sendText(response, 200, "{}") : sendJson(response, 400, { error: "invalid_token" }),
    revoked: everything,
  },
  Cognito: {
    settings: { preset: "cognito" },
    issuerPath: "/eu-central-1_abc",
    document: { introspection_endpoint: undefined },
    refusesLogin: noOfflineAccess,
    refusesToken: secretInHeader,
    refreshTokenOf: () => undefined,
    dead: invalidGrant(400),
    revoke: refreshTokensOnly,
    revoked: { refresh_token: "revoked", access_token: "unsupported" },
  },
  "Ory Hydra": {
    settings: { preset: "hydra" },
    document: { introspection_endpoint: undefined },
    refusesLogin: needsConsent,
    refusesToken: secretInHeader,
    refreshTokenOf: rotating,
    reply: { token_type: "bearer" },
    dead: (response) => sendJson(response, 401, { error: "token_inactive", status_code: 401 }),
    revoke: ok,
    revoked: everything,
  },
  "oidc-provider": {
    settings: { preset: "oidc-provider", resource: "https://notes.example" },
    refusesLogin: needsConsent,
    refusesToken: ({ form }) => (form.get("resource") === "https://notes.example" ? undefined : "invalid_target"),
    refreshTokenOf: rotating,
    dead: invalidGrant(400),
    revoke: ok,
    revoked: everything,
  },
  "a server of another make: no discovery, no ID token at refresh, odd lifetimes, errors in challenges alone": {
    settings: {
      endpoints: { authorization: "ORIGIN/authorize", token: "ORIGIN/token", jwks: "ORIGIN/jwks" },
      refreshScope: "omit",
      resourceParameter: "login",
    },
    issuerPath: "/nowhere",
    refreshTokenOf: (turn) => (turn % 3 === 0 ? undefined : rotating(turn)),
    reply: { expires_in: "soon", token_type: "BEARER", refresh_token_expires_in: "86400" },
    withoutIdTokenAtRefresh: true,
    dead: (response) => sendText(response, 401, "", { "www-authenticate": 'Bearer realm="x", error="invalid_grant"' }),
    revoked: { refresh_token: "unsupported", access_token: "unsupported" },
  },
};

/** The authorization server of a product, which keeps to its ways strictly: one that is presented another refresh token than its newest is angry. */
async function startProduct(product: Product): Promise<ScriptedAuthorizationServer> {
  const server = await ScriptedAuthorizationServer.start({ issuerPath: product.issuerPath ?? "" });
  server.document = { ...product.document };
  if (product.issuerPath === "/nowhere")
    server.on("/nowhere/.well-known/openid-configuration", (_request, response) => sendText(response, 404, "<html>"));
  let nonce: string | undefined;
  let current = "rt-0";
  let turn = 0;
  server.on("/authorize", ({ query }, response) => {
    nonce = query.get("nonce") ?? undefined;
    const refused = product.refusesLogin?.(query);
    const callback = new URL(query.get("redirect_uri") ?? "");
    callback.search = new URLSearchParams({
      state: query.get("state") ?? "",
      ...(refused === undefined ? { code: "code-1" } : { error: refused }),
    }).toString();
    sendText(response, 302, "", { location: callback.href });
  });
  server.on("/token", async (request, response) => {
    const refused = product.refusesToken?.(request);
    if (refused !== undefined) return sendJson(response, 400, { error: refused });
    const common = { access_token: `at-${turn}`, token_type: "Bearer", expires_in: 3600, ...product.reply };
    if (request.form.get("grant_type") === "authorization_code")
      return sendJson(response, 200, { ...common, refresh_token: current, id_token: await server.idToken({ nonce }) });
    if (request.form.get("refresh_token") !== current) return product.dead(response);
    turn += 1;
    const next = product.refreshTokenOf(turn);
    current = next ?? current;
    const idToken = product.withoutIdTokenAtRefresh === true ? {} : { id_token: await server.idToken() };
    return sendJson(response, 200, { ...common, ...idToken, ...(next === undefined ? {} : { refresh_token: next }) });
  });
  if (product.revoke !== undefined) server.on("/revoke", ({ form }, response) => product.revoke?.(form, response));
  return server;
}

describe.each(Object.entries(products))("%s (core.md, section 7)", (_name, product) => {
  test("needs at most eight lines: login, ten refreshes, a dead refresh token, logout", async () => {
    const server = await startProduct(product);
    onTestFinished(() => server.close());
    const main = { issuer: server.issuer, clientId: "client-1", clientSecret: secret, ...product.settings };
    const text = JSON.stringify({ authorizationServers: { main } }).replaceAll("ORIGIN", server.origin);
    // Issuer, client and secret are three of the eight, the brackets around them two.
    expect(Object.keys(main).length).toBeLessThanOrEqual(6);
    const loaded = loadConfig(text, { env: {}, directory: "/", dataDirectory: "/nowhere" });
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    const adapter = new AuthorizationServers(authorizationServerSettings(loaded.config), recordingServices(systemClock).services);

    const { url, ...kept } = await adapter.beginLogin("main", { redirectUri });
    const { headers } = await fetch(url, { redirect: "manual" });
    const callbackUrl = new URL(headers.get("location") ?? "");
    const login = await adapter.completeLogin("main", { callbackUrl, redirectUri, ...kept });
    expect(login.principal).toMatchObject({ subject: "alice", issuer: server.issuer });
    let refreshToken = login.tokens.refreshToken ?? ("" as RefreshToken);
    let accessToken = login.tokens.accessToken;
    for (let turn = 1; turn <= 10; turn += 1) {
      const request = { authorizationServer: "main", refreshToken, target: { scopes: ["read"] }, timeoutMs: 5_000 };
      const outcome = await adapter.refresh(request);
      if (outcome.kind !== "rotated") throw new Error(`${turn}: ${outcome.kind}`);
      const verification = await adapter.verify("main", login.principal, outcome.reply);
      if (verification.kind !== "verified") throw new Error(`${turn}: ${verification.kind}`);
      refreshToken = verification.tokens.refreshToken ?? refreshToken;
      accessToken = verification.tokens.accessToken;
      expect(verification.tokens.expiresInSeconds).toBeGreaterThanOrEqual(300);
    }
    const dead = { authorizationServer: "main", refreshToken: "rt-dead" as RefreshToken, target: { scopes: [] }, timeoutMs: 5_000 };
    expect((await adapter.refresh(dead)).kind).toBe("grant_dead");
    expect((await adapter.revoke("main", { kind: "refresh_token", token: refreshToken })).kind).toBe(product.revoked.refresh_token);
    expect((await adapter.revoke("main", { kind: "access_token", token: accessToken })).kind).toBe(product.revoked.access_token);
  });
});
