import { describe, expect, test } from "vitest";
import { presetByIssuer, presetNames } from "../../src/config/presets.ts";
import { load, mustLoad, problemsOf, withServer } from "./loading.ts";

const serverOf = (changes: Readonly<Record<string, unknown>>, env = {}) =>
  mustLoad(withServer(changes), { env }).authorizationServers["main"];

describe("an issuer tells the product by itself (core.md, section 7)", () => {
  test.each([
    ["https://sso.example.com/realms/main", "keycloak"],
    ["https://sso.example.com/auth/realms/main", "keycloak"],
    ["https://dev-1.okta.com", "okta"],
    ["https://dev-1.okta.com/oauth2/default", "okta"],
    ["https://acme.oktapreview.com", "okta"],
    ["https://acme.eu.auth0.com/", "auth0"],
    ["https://login.microsoftonline.com/0f0f/v2.0", "entra"],
    ["https://accounts.google.com", "google"],
    ["https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc", "cognito"],
    ["https://login.example.com", undefined],
    ["https://login.example.com/realms/main/more", undefined],
    ["https://notokta.com", undefined],
    ["https://okta.com.example.com", undefined],
    ["https://accounts.google.com.example.com", undefined],
    ["nonsense", undefined],
  ])("%s: %s", (issuer, preset) => {
    expect(presetByIssuer(issuer)).toBe(preset);
  });
});

describe("a preset fills in what is not written", () => {
  test("Google: offline access by its own parameter, no offline_access, no rotation, no resource", () => {
    expect(serverOf({ issuer: "https://accounts.google.com" })).toMatchObject({
      preset: "auto",
      scopes: ["openid", "profile", "email"],
      prompt: "consent",
      extraAuthorizationParameters: { access_type: "offline" },
      rotation: "never",
      resourceParameter: "never",
      sharedGrant: "user",
    });
  });

  test("what is written wins, and of further parameters each for itself", () => {
    const server = serverOf({
      issuer: "https://accounts.google.com",
      scopes: ["openid"],
      rotation: "auto",
      extraAuthorizationParameters: { hd: "example.com" },
    });
    expect(server).toMatchObject({
      scopes: ["openid"],
      rotation: "auto",
      extraAuthorizationParameters: { hd: "example.com", access_type: "offline" },
    });
    expect(serverOf({ issuer: "https://accounts.google.com", extraAuthorizationParameters: { access_type: "online" } })).toMatchObject({
      extraAuthorizationParameters: { access_type: "online" },
    });
  });

  test("what an administrator can change there is taken over only where the preset is named", () => {
    expect(serverOf({ issuer: "https://dev-1.okta.com" })?.reuseLeewaySeconds).toBeUndefined();
    expect(serverOf({ issuer: "https://dev-1.okta.com", preset: "okta" })?.reuseLeewaySeconds).toBe(30);
    expect(serverOf({ issuer: "https://dev-1.okta.com", preset: "okta", reuseLeewaySeconds: 0 })?.reuseLeewaySeconds).toBe(0);
  });

  test("a secret is sent in the way that the product wants, and only a secret", () => {
    const env = { CLIENT_SECRET: "canary-secret-of-a-client" };
    const issuer = "https://login.microsoftonline.com/0f0f/v2.0";
    expect(serverOf({ issuer, clientSecret: "${CLIENT_SECRET}" }, env)?.clientAuthentication).toBe("client_secret_post");
    expect(serverOf({ issuer })?.clientAuthentication).toBeUndefined();
    expect(serverOf({ issuer, clientKey: "${CLIENT_SECRET}" }, env)?.clientAuthentication).toBeUndefined();
  });

  test("none turns it off, and a name goes before the issuer", () => {
    expect(serverOf({ issuer: "https://accounts.google.com", preset: "none" })).toMatchObject({
      scopes: ["openid", "profile", "email", "offline_access"],
      rotation: "auto",
    });
    expect(serverOf({ issuer: "https://accounts.google.com", preset: "hydra" })).toMatchObject({
      rotation: "always",
      deadGrantCodes: ["token_inactive"],
    });
  });

  test("an unknown one is refused with those that there are", () => {
    expect(problemsOf(withServer({ preset: "keyclock" }))).toEqual([
      `authorizationServers.main.preset must be one of ${["auto", "none", ...presetNames].map((name) => `"${name}"`).join(", ")}, not "keyclock"`,
    ]);
  });

  test.each(presetNames)("%s makes a configuration that is right, in three lines", (preset) => {
    expect(problemsOf(withServer({ issuer: "https://login.example.com", preset }))).toEqual([]);
  });

  test("loading says which preset is in force, why, and what it set", () => {
    const loaded = load(withServer({ issuer: "https://dev-1.okta.com", prompt: "login" }));
    expect(loaded.ok && loaded.presets).toEqual([
      { authorizationServer: "main", preset: "okta", by: "issuer", settings: ["clientAssertionAudience"] },
    ]);
  });
});

describe("a client key in the configuration (RFC 7523)", () => {
  test("goes with private_key_jwt, and not with none", () => {
    const env = { KEY: "canary-private-key" };
    expect(problemsOf(withServer({ clientAuthentication: "private_key_jwt" }))).toEqual([
      'authorizationServers.main.clientAuthentication is "private_key_jwt", but authorizationServers.main.clientKey is missing: set it',
    ]);
    expect(problemsOf(withServer({ clientAuthentication: "none", clientKey: "${KEY}" }), { env })).toEqual([
      'authorizationServers.main.clientAuthentication is "none", but authorizationServers.main.clientKey is set: remove one of them',
    ]);
    expect(problemsOf(withServer({ clientAuthentication: "client_secret_basic", clientKey: "${KEY}" }), { env })).toEqual([
      'authorizationServers.main.clientAuthentication is "client_secret_basic", but authorizationServers.main.clientSecret is missing: set it',
    ]);
  });
});
