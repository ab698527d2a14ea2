import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openListener, startHttpServer } from "../../src/composition/http-server.ts";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { silentLogger } from "../../src/logger.ts";
import { mustString } from "../support/e2e-json.ts";
import { eventually } from "../support/e2e-wait.ts";
import { World } from "../support/e2e-world.ts";
import { OAuthClient, tokenRequest } from "../support/oauth-client.ts";
import { sharedStoreKinds } from "./shared-stores.ts";

/** `whoami` as a request of the modern era, with an access token: any replica can answer it. */
async function whoami(url: string, accessToken: string) {
  const response = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${accessToken}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "whoami",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "whoami",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
  return { status: response.status, subject: /"subject":"(\w+)"/.exec(await response.text())?.[1] };
}

for (const kind of sharedStoreKinds) {
  const missing = await kind.missing();
  describe.skipIf(missing !== undefined)(`two replicas on ${kind.name}${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
    test("know the grants and access tokens of each other's MCP clients, and use a refresh token up once (F2, B9)", async ({
      onTestFinished,
    }) => {
      const folder = mkdtempSync(join(tmpdir(), "latchkey-clients-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const prepared = await kind.prepare(onTestFinished);
      let shared: Config | undefined;
      const world = await World.start(onTestFinished, {
        configure: (config) => {
          const sections = JSON.parse(JSON.stringify(prepared.config).replace("latchkey.db", join(folder, "latchkey.db")));
          const parsed = configSchema.parse({ ...config, ...sections });
          shared = { ...parsed, store: { ...parsed.store, journalDirectory: join(folder, "one") } };
          return shared;
        },
      });
      if (shared === undefined) throw new Error("There is no configuration.");
      const config = { ...shared, server: { ...shared.server, port: 0, publicUrl: world.url } };
      const ofSecond = { ...config, store: { ...config.store, journalDirectory: join(folder, "two") } };
      const listener = await openListener(config, systemClock);
      const second = await startHttpServer({ config: ofSecond, clock: systemClock, logger: silentLogger, listener });
      onTestFinished(() => second.close());

      const client = new OAuthClient(world.url);
      await client.signIn(world.browser(), "carol");
      const { access_token: accessToken = "", refresh_token: refreshToken = "" } = client.saved ?? {};
      for (const url of [world.url, listener.url]) expect(await whoami(url, accessToken)).toEqual({ status: 200, subject: "carol" });

      const fields = { grant_type: "refresh_token", client_id: client.clientId, refresh_token: refreshToken };
      const answers = await Promise.all([world.url, listener.url, world.url, listener.url].map((url) => tokenRequest(url, fields)));
      expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
      expect(answers[0]?.status).toBe(200);

      const next = mustString(answers[0]?.json ?? {}, "refresh_token");
      const body = new URLSearchParams({ token: next, client_id: client.clientId });
      expect((await fetch(`${listener.url}/oauth/revoke`, { method: "POST", body })).status).toBe(200);
      await eventually("the other replica knows", async () => (await whoami(world.url, accessToken)).status === 401, 1_000);
      expect((await tokenRequest(world.url, { ...fields, refresh_token: next })).json.error).toBe("invalid_grant");
    });
  });
}
