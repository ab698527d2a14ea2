import { describe, expect, test } from "vitest";
import type { TokenEvent } from "../../../src/demo/token-events.ts";
import { httpTransports, McpClient } from "../../support/e2e-clients.ts";
import { HttpBrowser } from "../../support/e2e-http-browser.ts";
import { isFields, mustList, mustString, parseFields } from "../../support/e2e-json.ts";
import { Program } from "../../support/e2e-process.ts";
import { noteOf, type SoakConnection, soak } from "../../support/e2e-soak.ts";
import { connectStdio } from "../../support/e2e-stdio.ts";
import { findHistoryFaults, refreshesByLogin } from "../../support/e2e-token-history.ts";

/** CI runs a minute, an acceptance ten: LATCHKEY_SOAK_MINUTES=10 npm run test:long. */
const minutes = Number(process.env.LATCHKEY_SOAK_MINUTES ?? "1");
// In less, 30 s access tokens would hardly be refreshed once.
if (!(minutes >= 1 && minutes <= 24 * 60)) throw new Error("LATCHKEY_SOAK_MINUTES must be a number of minutes from 1 to 1440.");
const seconds = Math.round(minutes * 60);
const users = Array.from({ length: 50 }, (_, index) => `soak-${index + 10}`);
const timeout = (seconds + 180) * 1000;

describe.concurrent(`for ${minutes} min, a call a second`, () => {
  test("of 50 users on SSE and Streamable HTTP each: none fails, none is another's, one refresh per generation (R9, R1, R11, I14)", {
    timeout,
  }, async ({ onTestFinished, annotate }) => {
    const accessTokenSeconds = seconds < 180 ? 10 : 30;
    const lives = ["--access-token-seconds", String(accessTokenSeconds), "--refresh-token-seconds", "600"];
    const demo = Program.latchkey(onTestFinished, ["demo", "--port", "0", ...lives]);
    const ready = parseFields((await demo.says(/^\{.*\}$/m))[0]);
    const url = mustString(ready, "url");
    const connections: SoakConnection[] = [];
    onTestFinished(async () => {
      await Promise.all(connections.map(({ client }) => client.close().catch(() => {})));
    });
    for (const user of users) {
      const key = await (await new HttpBrowser(url).signIn(user)).makeKey("soak");
      for (const transport of httpTransports)
        connections.push({ user, transport, client: await McpClient.connectHttp(transport, url, key, "soak") });
      await connections.at(-1)?.client.mustCall("add_note", { text: noteOf(user) });
    }
    const report = await soak(connections, seconds);
    const events = await eventsOf(mustString(ready, "issuer"));
    await annotate(`${JSON.stringify({ ...report, refreshes: countRefreshes(events), accessTokenSeconds })}`);
    expect(report).toMatchObject({ failures: [], foreign: [], calls: connections.length * seconds });
    expectOneRefreshPerGeneration(events, users, accessTokenSeconds);
    demo.child.kill("SIGTERM");
    expect((await demo.exit).code).toBe(0);
    expect(demo.stderr).not.toMatch(/"level":"(warn|error)"/);
  });

  test("of 5 users over stdio, each process for its own: none fails, one refresh per generation (R9, R1, I14)", { timeout }, async ({
    onTestFinished,
    annotate,
  }) => {
    const own = users.slice(0, 5);
    const connections: SoakConnection[] = [];
    for (const user of own) {
      const { client } = await connectStdio(onTestFinished, ["stdio", "--demo", "--as", user]);
      await client.mustCall("add_note", { text: noteOf(user) });
      connections.push({ user, transport: "stdio", client });
    }
    const report = await soak(connections, seconds);
    await annotate(JSON.stringify(report));
    expect(report).toMatchObject({ failures: [], foreign: [], calls: connections.length * seconds });
    for (const { client, user } of connections) {
      const issuer = mustString((await client.mustCall("whoami")).structured, "issuer");
      expectOneRefreshPerGeneration(await eventsOf(issuer), [user], 30);
    }
  });
});

/** What the demo's authorization server says to programs on this machine. */
async function eventsOf(issuer: string): Promise<readonly TokenEvent[]> {
  const page = parseFields(await (await fetch(`${issuer}/demo/events`)).text());
  expect(page.dropped).toBe(0);
  const events: readonly unknown[] = mustList(page, "events");
  if (!events.every(isTokenEvent)) throw new Error("These are no token events.");
  return events;
}

function isTokenEvent(value: unknown): value is TokenEvent {
  return isFields(value) && typeof value.index === "number" && typeof value.kind === "string";
}

function expectOneRefreshPerGeneration(events: readonly TokenEvent[], names: readonly string[], accessTokenSeconds: number): void {
  expect(findHistoryFaults(events)).toEqual([]);
  const ours = events.filter(({ user = "" }) => names.includes(user));
  const counts = [...refreshesByLogin(ours).values()];
  expect(counts).toHaveLength(names.length);
  // Due after 0.55 to 0.75 of an access token's life: no login session was left out, and none was refreshed in vain.
  for (const count of counts) {
    expect(count).toBeGreaterThanOrEqual(Math.floor(seconds / (0.75 * accessTokenSeconds + 1)));
    expect(count).toBeLessThanOrEqual(Math.ceil((seconds + 90) / (0.55 * accessTokenSeconds)));
  }
}

function countRefreshes(events: readonly TokenEvent[]): number {
  return events.filter(({ kind }) => kind === "refreshed").length;
}
