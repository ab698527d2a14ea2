import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium, noChromium } from "../console/chromium.ts";
import { ConsoleWindow, fillLoginForm } from "../support/e2e-pages.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { eventually } from "../support/e2e-wait.ts";
import { type AtEnd, World } from "../support/e2e-world.ts";

let chromium: Browser | undefined;

beforeAll(async () => {
  if (noChromium === undefined) chromium = await launchChromium();
});
afterAll(async () => {
  await chromium?.close();
});

/** A profile of its own: its cookies are nobody else's. */
async function newProfile(atEnd: AtEnd): Promise<BrowserContext> {
  if (chromium === undefined) throw new Error("Chromium does not run.");
  const context = await chromium.newContext();
  atEnd(() => context.close());
  return context;
}

const profiles = [
  { kind: "two pages of one profile", count: 1 },
  { kind: "two profiles", count: 2 },
];

describe.skipIf(noChromium !== undefined)(`two windows in Chromium${noChromium === undefined ? "" : ` (skipped: ${noChromium})`}`, () => {
  test.for(profiles)(
    "of two users in $kind: lists, keys, calls and sign-out are each one's own (S2, R9, F34)",
    async ({ count }, { onTestFinished }) => {
      const world = await World.start(onTestFinished, { accessTokenSeconds: 6 });
      const [one, two] = await windowsOf(onTestFinished, world, count, ["carol", "dave"]);
      const keys = [await one.makeKey("of carol"), await two.makeKey("of dave")];
      const clients = await Promise.all(keys.map((key) => world.connect("http", { key })));
      expect(await Promise.all(clients.map((client) => client.whoami()))).toEqual(["carol", "dave"]);
      for (const [window, other] of [
        [one, two],
        [two, one],
      ] as const) {
        await window.page.reload();
        await window.shows("Live");
        expect(await window.page.title()).toContain(window.name === "carol" ? "Carol" : "Dave");
        expect(await window.page.locator("article.session").count()).toBe(1);
        expect(await window.page.getByText(`of ${other.name}`).count()).toBe(0);
        await window.page.getByRole("rowheader", { name: `of ${window.name}` }).waitFor();
      }
      await one.signOut();
      await expect(clients[0]?.whoami()).rejects.toThrow();
      await two.page.reload();
      await two.shows("Live");
      expect(await clients[1]?.whoami()).toBe("dave");
      await eventually("dave is refreshed on", () => world.refreshes("dave") >= 2, 20_000);
      expect(await clients[1]?.notes()).toEqual([]);
      expect(findHistoryFaults(world.events())).toEqual([]);
    },
  );

  test.for(profiles)(
    "of one user in $kind: each has a login session of its own, and outlives the other's sign-out (S1, B8)",
    async ({ count }, { onTestFinished }) => {
      const world = await World.start(onTestFinished, { accessTokenSeconds: 6 });
      const [one, two] = await windowsOf(onTestFinished, world, count, ["erin", "erin"]);
      expect(one.handle).not.toBe(two.handle);
      // Each sees the other below its own, live, as a login session of the same user.
      for (const [window, other] of [
        [one, two],
        [two, one],
      ] as const)
        await window.page.locator(`article[data-login="${other.handle}"]`).getByText("Live", { exact: true }).waitFor();
      const clients = await Promise.all([one, two].map(async (window) => world.connect("sse", { key: await window.makeKey("k") })));
      expect(await Promise.all(clients.map((client) => client.whoami()))).toEqual(["erin", "erin"]);
      await one.signOut();
      await two.page.locator(`article[data-login="${one.handle}"]`).getByText("Ended", { exact: true }).waitFor();
      await two.shows("Live");
      await expect(clients[0]?.whoami()).rejects.toThrow();
      expect(await clients[1]?.notes()).toEqual([]);
      // The first window signs in again at once, beside the second.
      const again = await ConsoleWindow.signIn(one.page.context(), world, "erin");
      await again.shows("Live");
      expect(findHistoryFaults(world.events())).toEqual([]);
    },
  );
});

/** Two windows, signed in one after the other. */
async function windowsOf(atEnd: AtEnd, world: World, profileCount: number, names: readonly [string, string]) {
  const first = await newProfile(atEnd);
  const second = profileCount === 1 ? first : await newProfile(atEnd);
  const one = await ConsoleWindow.signIn(first, world, names[0]);
  return [one, await ConsoleWindow.signIn(second, world, names[1])] as const;
}

describe.skipIf(noChromium !== undefined)(`a window in Chromium${noChromium === undefined ? "" : ` (skipped: ${noChromium})`}`, () => {
  test("shows signed out only when the server has confirmed it, else what is still true, with a way to retry (R16)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished);
    const window = await ConsoleWindow.signIn(await newProfile(onTestFinished), world, "frank");
    const client = await world.connect("http", { key: await window.makeKey("k") });
    await window.page.route("**/api/sessions/*", (route) =>
      route.request().method() === "DELETE" ? route.abort("connectionfailed") : route.continue(),
    );
    await window.signOutButton.click();
    await window.own.getByRole("alert").getByText("You are still signed in").waitFor();
    expect(await client.whoami()).toBe("frank");
    await window.page.reload();
    await window.shows("Live");
    expect(world.events("frank").some(({ kind }) => kind === "revoked")).toBe(false);

    await window.signOutButton.click();
    const retry = window.own.getByRole("alert").getByRole("button", { name: "Try again" });
    await retry.waitFor();
    await window.page.unroute("**/api/sessions/*");
    await retry.click();
    await window.page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await window.page.getByText("Its tokens are revoked at the authorization server.").waitFor();
    expect(world.events("frank").some(({ kind }) => kind === "revoked")).toBe(true);
    await expect(client.whoami()).rejects.toThrow();
    // Back and reload do not bring it back.
    await window.page.reload();
    expect(await window.page.locator("article.session").count()).toBe(0);
  });

  test("shows at once that a refresh has failed, that it works again, and that a sign-in is needed (R18, S6, R14)", async ({
    onTestFinished,
  }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5 });
    const window = await ConsoleWindow.signIn(await newProfile(onTestFinished), world, "grace");
    const handle = window.handle;
    await window.shows("Live");
    await world.authorizationServer.pause();
    await window.shows("Refresh failing");
    await window.own.getByText("the authorization server cannot be reached").waitFor();
    await window.own.getByText("No access token is served until one works.").waitFor({ timeout: 20_000 });
    await world.authorizationServer.resume();
    await window.shows("Live");
    await world.killGrant(handle);
    await window.shows("Sign-in needed");
    await window.own.getByRole("link", { name: "Sign in again" }).click();
    await fillLoginForm(window.page, "grace");
    await window.shows("Live");
    expect(window.handle).toBe(handle);
  });

  test("polls when events do not come, and shows a failed refresh all the same (R18)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 5 });
    const profile = await newProfile(onTestFinished);
    await profile.route("**/api/events?*", (route) => route.abort("connectionfailed"));
    const window = await ConsoleWindow.signIn(profile, world, "heidi");
    await window.page.locator("#connection").getByText("Polling").waitFor();
    await window.shows("Live");
    await world.killGrant(window.handle);
    await window.shows("Sign-in needed");
  });
});
