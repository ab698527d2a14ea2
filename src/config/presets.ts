/** The products whose ways are known. */
export const presetNames = ["keycloak", "okta", "auth0", "entra", "google", "cognito", "hydra", "oidc-provider"] as const;

export type PresetName = (typeof presetNames)[number];

/** Settings of one authorization server, as they are written in the configuration. */
type Written = Readonly<Record<string, unknown>>;

/** What is known of a product. docs/authorization-servers.md says from which page of its documentation. */
interface Preset {
  /** What its protocol demands, whoever administers it. */
  readonly always: Written;
  /** What holds as it is installed and can be changed there: only where the preset is named, for then somebody has looked. */
  readonly whenNamed?: Written;
  /** The way to send a client secret, for a client that has one. */
  readonly secretBy?: "client_secret_basic" | "client_secret_post";
  readonly isIssuer?: (issuer: URL) => boolean;
}

const withoutOfflineAccess = ["openid", "profile", "email"];
const within = (host: string, domain: string): boolean => host === domain || host.endsWith(`.${domain}`);

const presets: Readonly<Record<PresetName, Preset>> = {
  keycloak: {
    // Consent is the realm's to ask for; an offline token is given for the scope alone.
    always: { prompt: "" },
    isIssuer: ({ pathname }) => /\/realms\/[^/]+$/.test(pathname),
  },
  okta: {
    always: { prompt: "", clientAssertionAudience: "token_endpoint" },
    whenNamed: { reuseLeewaySeconds: 30 },
    isIssuer: ({ hostname }) => within(hostname, "okta.com") || within(hostname, "oktapreview.com") || within(hostname, "okta-emea.com"),
  },
  auth0: {
    always: { prompt: "" },
    secretBy: "client_secret_post",
    isIssuer: ({ hostname }) => within(hostname, "auth0.com"),
  },
  entra: {
    // A used refresh token stays valid there, so that presenting it again is safe: that is what "never" means.
    always: {
      prompt: "",
      rotation: "never",
      resourceParameter: "never",
      deadGrantCodes: ["interaction_required"],
      clientAssertionAudience: "token_endpoint",
    },
    secretBy: "client_secret_post",
    isIssuer: ({ hostname }) => hostname === "login.microsoftonline.com" || hostname === "login.microsoftonline.us",
  },
  google: {
    always: {
      scopes: withoutOfflineAccess,
      prompt: "consent",
      extraAuthorizationParameters: { access_type: "offline" },
      rotation: "never",
      resourceParameter: "never",
      // Revoking takes back all that the user has granted to the client.
      sharedGrant: "user",
    },
    isIssuer: ({ hostname }) => hostname === "accounts.google.com",
  },
  cognito: {
    always: { scopes: withoutOfflineAccess, prompt: "" },
    isIssuer: ({ hostname }) => /^cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$/.test(hostname),
  },
  hydra: {
    always: { prompt: "consent", rotation: "always", deadGrantCodes: ["token_inactive"] },
  },
  "oidc-provider": {
    always: { prompt: "consent" },
  },
};

/** A preset in force, and what it filled in. */
export interface AppliedPreset {
  /** The authorization server's name in the configuration. */
  readonly authorizationServer: string;
  readonly preset: PresetName;
  /** Named in the configuration, or chosen by the issuer. */
  readonly by: "setting" | "issuer";
  /** The settings whose values are its. */
  readonly settings: readonly string[];
}

/** The product that an issuer shows by itself; undefined: it could be anything. */
export function presetByIssuer(issuer: string): PresetName | undefined {
  const url = URL.parse(issuer);
  return url === null ? undefined : presetNames.find((name) => presets[name].isIssuer?.(url) === true);
}

/**
 * Fills in, in a configuration as it is written, what the presets of its authorization servers know. What is written wins:
 * a whole setting, or one parameter of extraAuthorizationParameters. Whatever is not of the right form stays for the schema.
 */
export function applyPresets(raw: unknown): { readonly value: unknown; readonly applied: readonly AppliedPreset[] } {
  const servers = isRecord(raw) ? raw.authorizationServers : undefined;
  if (!isRecord(raw) || !isRecord(servers)) return { value: raw, applied: [] };
  const applied: AppliedPreset[] = [];
  const filled = Object.entries(servers).map(([name, server]): [string, unknown] => {
    const chosen = isRecord(server) ? choose(server) : undefined;
    if (!isRecord(server) || chosen === undefined) return [name, server];
    const known = valuesOf(presets[chosen.preset], chosen.by, server);
    applied.push({ authorizationServer: name, ...chosen, settings: Object.keys(known) });
    return [name, { ...server, ...known }];
  });
  return { value: { ...raw, authorizationServers: Object.fromEntries(filled) }, applied };
}

function choose(server: Written): Pick<AppliedPreset, "preset" | "by"> | undefined {
  const { preset: named = "auto", issuer } = server;
  if (named === "auto") {
    const preset = typeof issuer === "string" ? presetByIssuer(issuer) : undefined;
    return preset && { preset, by: "issuer" };
  }
  const preset = presetNames.find((name) => name === named);
  return preset && { preset, by: "setting" };
}

/** What the preset sets that is not written. */
function valuesOf(preset: Preset, by: AppliedPreset["by"], server: Written): Written {
  const hasSecret = server.clientSecret !== undefined && server.clientKey === undefined;
  const all: Written = {
    ...preset.always,
    ...(by === "setting" ? preset.whenNamed : {}),
    ...(hasSecret && preset.secretBy !== undefined ? { clientAuthentication: preset.secretBy } : {}),
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([setting, value]): [string, unknown][] => {
      const written = server[setting];
      if (written === undefined) return [[setting, value]];
      return isRecord(value) && isRecord(written) ? [[setting, { ...value, ...written }]] : [];
    }),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
