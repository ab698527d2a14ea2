import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type ClientMetadata, Provider } from "oidc-provider";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { type HttpServer, startHttpServer } from "../../src/composition/http-server.ts";
import { configSchema } from "../../src/config/schema.ts";
import { silentLogger } from "../../src/logger.ts";
import type { AccessToken, LoginSession, RefreshToken } from "../../src/session/login-session.ts";

const clientId = "latchkey";

/** Latchkey behind a real oidc-provider, whose client posts its logout tokens to Latchkey. `logOut` does what its end of a session does. */
async function start(metadata: Partial<ClientMetadata>): Promise<{
  readonly latchkey: HttpServer;
  readonly signIn: (subject: string, sid: string) => Promise<LoginSession>;
  readonly logOut: (subject: string, sid: string) => Promise<void>;
}> {
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const config = configSchema.parse({
    server: { port: 0 },
    authorizationServers: { main: { issuer, clientId, clientSecret: "canary-secret" } },
    store: { type: "memory" },
  });
  const latchkey = await startHttpServer({ config, clock: systemClock, logger: silentLogger });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: "canary-secret",
        redirect_uris: [`${latchkey.publicUrl}/login/callback`],
        id_token_signed_response_alg: "ES256",
        backchannel_logout_uri: `${latchkey.publicUrl}/backchannel-logout`,
        ...metadata,
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "s" } as never] },
    cookies: { keys: ["a-key-of-this-test"] },
    // Its own guard lets nobody post to loopback.
    fetch: (address, options) => fetch(address, { ...options, dispatcher: undefined } as RequestInit),
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  });
  http.on("request", provider.callback());
  onTestFinished(async () => {
    await latchkey.close();
    http.closeAllConnections();
    http.close();
  });
  const tokens = (name: string) => ({ accessToken: `at-${name}` as AccessToken, refreshToken: `rt-${name}` as RefreshToken });
  return {
    latchkey,
    signIn: (subject, sid) =>
      latchkey.core.logins.start(
        {
          authorizationServer: "main",
          principal: { issuer, subject, clientId, sid },
          profile: {},
          tokens: { ...tokens(sid), expiresInSeconds: 300 },
          obtainedAt: systemClock.now(),
        },
        { kind: "browser" },
      ),
    async logOut(subject, sid) {
      const client: unknown = await provider.Client.find(clientId);
      const send: unknown = typeof client === "object" && client !== null ? Reflect.get(client, "backchannelLogout") : undefined;
      if (typeof send !== "function") throw new Error("This oidc-provider sends no logout tokens.");
      // It throws unless the answer is a success.
      await Reflect.apply(send, client, [subject, sid]);
    },
  };
}

async function stateOf(latchkey: HttpServer, { id }: LoginSession): Promise<string | undefined> {
  return (await latchkey.core.sessions.get(id))?.state;
}

test("a logout token of a real oidc-provider with sub and sid ends that session's login alone (F24)", async () => {
  const { latchkey, signIn, logOut } = await start({ backchannel_logout_session_required: true });
  const [first, second] = [await signIn("alice", "sid-1"), await signIn("alice", "sid-2")];
  await logOut("alice", "sid-1");
  expect([await stateOf(latchkey, first), await stateOf(latchkey, second)]).toEqual(["ended", "live"]);
});

test("one with sub only ends all of the user's, and nobody else's (F24)", async () => {
  const { latchkey, signIn, logOut } = await start({});
  const [first, second, other] = [await signIn("alice", "sid-1"), await signIn("alice", "sid-2"), await signIn("bob", "sid-3")];
  await logOut("alice", "sid-1");
  expect([await stateOf(latchkey, first), await stateOf(latchkey, second), await stateOf(latchkey, other)]).toEqual([
    "ended",
    "ended",
    "live",
  ]);
});
