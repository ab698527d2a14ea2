import { expect, onTestFinished, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { FaultWorld } from "../faults/fault-world.ts";
import { HttpBrowser } from "../support/e2e-http-browser.ts";
import { answerConsent, follow, OAuthClient, onwardOf, openConsent } from "../support/oauth-client.ts";

/** The tokens that an MCP client gets for signing in as alice. */
async function signIn(server: Readonly<Record<string, number>>): Promise<{ readonly world: FaultWorld; readonly client: OAuthClient }> {
  const world = await FaultWorld.start((close) => onTestFinished(close), { config: { server: { port: 0, ...server } } });
  const url = world.latchkey.publicUrl;
  const client = new OAuthClient(url);
  const browser = new HttpBrowser(url);
  const begun = await client.begin();
  const onward = onwardOf(await answerConsent(browser, await openConsent(browser, begun.url), "allow"));
  const approved = await browser.get(onward);
  const answer = await follow(browser, new URL(approved.headers.get("location") ?? ""));
  await begun.finish(answer.searchParams.get("code") ?? "");
  return { world, client };
}

test("an MCP client's access token lives as long as server.clientAccessTokenSeconds says, and not longer", async () => {
  const { world, client } = await signIn({ clientAccessTokenSeconds: 60 });
  expect(client.saved?.expires_in).toBe(60);
  const ask = async (): Promise<number> => {
    const headers = { authorization: `Bearer ${client.saved?.access_token}`, accept: "application/json, text/event-stream" };
    return (await fetch(`${world.latchkey.publicUrl}/mcp`, { headers })).status;
  };
  const accepted = await ask();
  expect(accepted).not.toBe(401);
  await world.clock.advance(59_000);
  expect(await ask()).toBe(accepted);
  await world.clock.advance(3_000);
  expect(await ask()).toBe(401);
});

test("it lives five minutes if nothing is set", async () => {
  expect((await signIn({})).client.saved?.expires_in).toBe(300);
});

test.each([29, 3601, 60.5])("%s is no lifetime for it", (clientAccessTokenSeconds) => {
  const main = { issuer: "https://as.example", clientId: "c" };
  const parsed = configSchema.safeParse({ authorizationServers: { main }, server: { clientAccessTokenSeconds } });
  expect(parsed.error?.issues.map(({ path }) => path.join("."))).toEqual(["server.clientAccessTokenSeconds"]);
});
