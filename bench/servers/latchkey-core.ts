import { z } from "zod";
import type { Core } from "../../src/composition/core.ts";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { createLogger } from "../../src/logger.ts";
import type { AccessToken, LoginSession, RefreshToken } from "../../src/session/login-session.ts";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { defineTool } from "../../src/tool/define-tool.ts";

/** The tool that every bench calls. */
export const echo = defineTool({
  name: "echo",
  description: "Says the same.",
  input: z.object({ text: z.string() }),
  run: async ({ text }) => text,
});

/** Lines are made as in earnest and go nowhere. */
export const logger = createLogger({ level: "info", format: "json", write: () => {}, now: () => Date.now() });

/** Nobody listens there: access tokens outlive the bench. */
const noIssuer = "http://127.0.0.1:9";

export function benchConfig(issuer = noIssuer): Config {
  return configSchema.parse({
    server: { port: 0 },
    authorizationServers: { main: { issuer, clientId: "bench", introspection: "never" } },
    store: { type: "memory" },
    limits: { maxConnections: 1_000_000, maxConnectionsPerLogin: 1_000_000 },
  });
}

/** A login session as a login leaves it. `name` is the user. */
export function signIn(
  core: Core,
  name: string,
  { issuer = noIssuer, obtainedAt = Date.now(), expiresInSeconds = 7 * 86_400 } = {},
): Promise<LoginSession> {
  return core.logins.start(
    {
      authorizationServer: "main",
      principal: { issuer, subject: name, clientId: "bench" },
      profile: { name },
      tokens: {
        accessToken: brandAccessToken(`access-token-of-${name}`),
        refreshToken: brandRefreshToken(`refresh-token-of-${name}`),
        expiresInSeconds,
      },
      obtainedAt,
    },
    { kind: "demo" },
  );
}

/** A connection key of this login session. */
export async function makeKey(core: Core, login: LoginSession): Promise<string> {
  const key = newConnectionKey();
  const record = { id: login.handle, hash: hashConnectionKey(key), loginSessionId: login.id, name: "bench", createdAt: Date.now() };
  await core.store.connectionKeys.insert(record, 1);
  return key;
}

export function brandAccessToken(text: string): AccessToken {
  return text as AccessToken;
}

export function brandRefreshToken(text: string): RefreshToken {
  return text as RefreshToken;
}
