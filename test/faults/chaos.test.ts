import { expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { startHttpServer } from "../../src/composition/http-server.ts";
import { configSchema } from "../../src/config/schema.ts";
import { silentLogger } from "../../src/logger.ts";
import { hashConnectionKey, newConnectionKey } from "../../src/session/random.ts";
import { type ChaosPlan, startChaosProxy, startFaultServer } from "../../src/testing/index.ts";
import { seededRandom } from "../../src/testing/secrets.ts";
import { McpClient } from "../support/e2e-clients.ts";

const cuts: readonly ChaosPlan[] = [
  { kind: "drop_request" },
  { kind: "drop_reply" },
  { kind: "drop_reply", ending: "end" },
  { kind: "reset_after", direction: "request", bytes: 80 },
  { kind: "reset_after", direction: "reply", bytes: 200 },
];

/** One in three by chance, but never three in a row: a grace period forgives two presentations after the first. */
function oneInThree(seed: number): () => ChaosPlan {
  const random = seededRandom(seed);
  let inARow = 0;
  return () => {
    const cut = inARow < 2 && random() < 1 / 3 ? cuts[Math.floor(random() * cuts.length)] : undefined;
    inARow = cut === undefined ? 0 : inARow + 1;
    return cut ?? { kind: "pass" };
  };
}

test.each([1, 2, 3])(
  "100 callers while a proxy cuts one TCP connection in three at random, with a grace of 30 s: 100 right answers, again and again (I8), seed %i",
  { timeout: 60_000 },
  async (seed) => {
    // Timers are real, as the sockets are; only the tokens' age is made.
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    const behaviours = [
      { kind: "grace_rotation", seconds: 30, answer: "same_successor" },
      { kind: "access_token_life", seconds: 30 },
      // Introspection would come before the grace period, and after the deadline of what was lost.
      { kind: "discovery_fields", fields: { introspection_endpoint: undefined } },
    ] as const;
    const server = await startFaultServer({ clock, behaviours });
    const proxy = await startChaosProxy({ target: server.origin });
    server.publishAt(proxy.origin);
    const config = configSchema.parse({
      server: { port: 0 },
      authorizationServers: { main: { issuer: server.issuer, clientId: "client", reuseLeewaySeconds: 30 } },
      store: { type: "memory" },
      heartbeat: { intervalSeconds: 60 },
      apis: { sample: { baseUrl: server.origin } },
      tools: [{ name: "me", description: "Who the API takes the access token for.", api: "sample", path: "/userinfo" }],
    });
    const latchkey = await startHttpServer({ config, clock, logger: silentLogger });
    const clients: McpClient[] = [];
    try {
      const key = await signIn(latchkey);
      for (let client = 0; client < 10; client += 1) clients.push(await McpClient.connectHttp("http", latchkey.publicUrl, key));
      proxy.choose(oneInThree(seed));
      for (let round = 0; round < 10; round += 1) {
        aheadMs += 31_000;
        const answers = await Promise.all(clients.flatMap((client) => Array.from({ length: 10 }, () => client.call("me"))));
        expect(answers.filter(({ isError, text }) => isError || !text.includes('"alice"'))).toEqual([]);
      }
      await server.settled();
      expect(proxy.counts.cut).toBeGreaterThan(0);
      expect(server.ledger.reuseEvents).toEqual([]);
      expect(server.ledger.families).toMatchObject([{ subject: "alice", ended: undefined }]);
    } finally {
      await Promise.all(clients.map((client) => client.close().catch(() => {})));
      await latchkey.close();
      await proxy.close();
      await server.close();
    }
  },
);

/** Signs alice in by the code flow; her connection key. */
async function signIn({ core, publicUrl }: Awaited<ReturnType<typeof startHttpServer>>): Promise<string> {
  const redirectUri = `${publicUrl}/login/callback`;
  const { url, state, nonce, codeVerifier } = await core.authorizationServers.beginLogin("main", { redirectUri });
  const { headers } = await fetch(url, { redirect: "manual" });
  const callbackUrl = new URL(headers.get("location") ?? "");
  const login = await core.authorizationServers.completeLogin("main", { callbackUrl, redirectUri, state, nonce, codeVerifier });
  const { id } = await core.logins.start(login, { kind: "browser" });
  const key = newConnectionKey();
  await core.store.connectionKeys.insert({ id, hash: hashConnectionKey(key), loginSessionId: id, name: "test", createdAt: 0 }, 1);
  return key;
}
