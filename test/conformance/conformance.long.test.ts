import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mustString, parseFields } from "../support/e2e-json.ts";
import { allow } from "../support/oauth-client.ts";
import { outcomes, runSuite, scoredScenarios } from "./suite.ts";
import { startTestedServer, type TestedServer } from "./tested-server.ts";

let tested: TestedServer;
const closings: (() => Promise<void>)[] = [];
beforeAll(async () => {
  tested = await startTestedServer((close) => closings.push(close));
});
afterAll(async () => {
  for (const close of closings.reverse()) await close();
});

describe("the official conformance suite", () => {
  test.each([
    { revision: "2025-11-25", scored: 30 },
    { revision: "2026-07-28", scored: 37 },
  ])("scores all $scored scenarios of $revision as passed on /mcp, and none is expected to fail", async ({ revision, scored }) => {
    const { code, output } = await runSuite(["server", "--url", `${tested.url}/mcp`, "--requirements", revision]);
    const names = scoredScenarios(revision);
    expect(names).toHaveLength(scored);
    const found = outcomes(output);
    const notPassed = names.filter((name) => {
      const outcome = found.get(name);
      return outcome === undefined || !outcome.isGood || outcome.passed === 0 || outcome.failed > 0;
    });
    expect(notPassed, output).toEqual([]);
    expect(code, output).toBe(0);
  });

  test("finds the authorization server's metadata good, and gets a token for a code after consent and sign-in", async () => {
    const port = await freePort();
    const clientId = await register(`http://127.0.0.1:${port}/callback`);
    let begun: Promise<unknown> | undefined;
    const args = ["authorization", "--url", tested.url, "--client-id", clientId, "--port", String(port), "--resource", `${tested.url}/mcp`];
    const { code, output } = await runSuite(args, (soFar) => {
      const url = /^(http\S+\/oauth\/authorize\?\S+)\n/m.exec(soFar)?.[1];
      if (url !== undefined) begun ??= consent(new URL(url));
    });
    await begun;
    expect(begun, output).toBeDefined();
    expect(
      [...outcomes(output)].filter(([, { isGood, passed }]) => isGood && passed > 0).map(([name]) => name),
      output,
    ).toEqual(["authorization-server-metadata-endpoint", "authorization-code-grant"]);
    expect(code, output).toBe(0);
  });
});

/** Consents and signs in as alice, and brings the answer to the suite. */
async function consent(url: URL): Promise<void> {
  const response = await fetch(await allow(tested.world.browser(), url, "alice"));
  await response.text();
}

async function register(redirectUri: string): Promise<string> {
  const response = await fetch(`${tested.url}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: "conformance", redirect_uris: [redirectUri], token_endpoint_auth_method: "none" }),
  });
  return mustString(parseFields(await response.text()), "client_id");
}

/** The suite wants to be told a port, and its client's redirect address names it. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
