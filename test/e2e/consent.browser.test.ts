import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium, noChromium } from "../console/chromium.ts";
import { fillLoginForm } from "../support/e2e-pages.ts";
import { type AtEnd, World } from "../support/e2e-world.ts";
import { OAuthClient } from "../support/oauth-client.ts";

let chromium: Browser | undefined;

beforeAll(async () => {
  if (noChromium === undefined) chromium = await launchChromium();
});
afterAll(async () => {
  await chromium?.close();
});

async function newPage(atEnd: AtEnd): Promise<Page> {
  if (chromium === undefined) throw new Error("Chromium does not run.");
  const context = await chromium.newContext();
  atEnd(() => context.close());
  return context.newPage();
}

/** The address on the user's machine where an application waits for its answer. */
async function listenForAnswer(atEnd: AtEnd): Promise<string> {
  const server = createServer((_request, response) => response.end("You can go back to the application."));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
}

describe.skipIf(noChromium !== undefined)(`an MCP client in Chromium${noChromium === undefined ? "" : ` (skipped: ${noChromium})`}`, () => {
  test("gets its user's consent and sign-in, with the browser's own rules for forms, cookies and pages", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const client = new OAuthClient(world.url, "An application", await listenForAnswer(onTestFinished));
    const page = await newPage(onTestFinished);
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    const { url, finish } = await client.begin();
    await page.goto(url.href);
    expect(await page.locator("h1").textContent()).toBe("Let this application act for you?");
    expect(await page.locator("dl").textContent()).toContain("An application");
    await page.getByRole("button", { name: "Allow and sign in" }).click();
    await fillLoginForm(page, "carol");
    await page.waitForURL((address) => address.href.startsWith(client.redirectUrl));
    await finish(new URL(page.url()).searchParams.get("code") ?? "");
    const connection = await client.connect();
    expect(await connection.whoami()).toBe("carol");
    await connection.close();
    expect(complaints).toEqual([]);
  });

  test("is told when its user refuses", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished);
    const client = new OAuthClient(world.url, "An application", await listenForAnswer(onTestFinished));
    const page = await newPage(onTestFinished);
    await page.goto((await client.begin()).url.href);
    await page.getByRole("button", { name: "Refuse" }).click();
    await page.waitForURL((address) => address.href.startsWith(client.redirectUrl));
    expect(new URL(page.url()).searchParams.get("error")).toBe("access_denied");
  });
});
