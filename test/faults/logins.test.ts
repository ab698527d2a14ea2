import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpTransports } from "../support/e2e-clients.ts";
import { World } from "../support/e2e-world.ts";

let world: World;
const closings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  world = await World.start((close) => closings.push(close));
});
afterAll(async () => {
  for (const close of closings) await close();
});

describe("a login that another browser began", () => {
  test("F34 signs nobody in: no cookie, no login session, and its state is spent (B7)", async () => {
    const attacker = world.browser();
    const callback = await attacker.submitLoginForm(await attacker.openLoginForm(), "mallory");
    const victim = world.browser();
    await victim.openLoginForm();
    const page = await victim.open(callback);
    expect(page.status).toBe(400);
    expect(victim.cookies("latchkey_browser")).toEqual([]);
    expect((await victim.get("/api/me")).json).toMatchObject({ code: "unauthorized" });
    expect(world.audit("login_refused").at(-1)).toMatchObject({ code: "another_browser" });
    // The browser that began it is too late as well: the state was taken.
    expect((await attacker.open(callback)).status).toBe(400);
    expect(world.events("mallory")).toEqual([]);
  });

  test("F34 is refused to a browser that has a cookie of that name with another value (B7)", async () => {
    const [attacker, victim] = [world.browser(), world.browser()];
    const callback = await attacker.submitLoginForm(await attacker.openLoginForm(), "mallory");
    const names = attacker
      .cookieHeader(callback)
      .split("; ")
      .map((pair) => pair.split("=", 1)[0] ?? "")
      .filter((name) => name.startsWith("latchkey_login"));
    expect(names).not.toEqual([]);
    for (const name of names) victim.keep(`${name}=${randomBytes(32).toString("base64url")}; Path=/`);
    expect((await victim.open(callback)).status).toBe(400);
    expect(victim.cookies("latchkey_browser")).toEqual([]);
    expect(world.events("mallory")).toEqual([]);
  });

  test("F34 cannot be finished twice (B7)", async () => {
    const browser = world.browser();
    const callback = await browser.submitLoginForm(await browser.openLoginForm(), "nina");
    expect((await browser.open(callback)).status).toBe(200);
    const [cookie] = browser.cookies("latchkey_browser");
    expect(cookie).toMatch(/^[\w-]{43}$/);
    expect((await browser.open(callback)).status).toBe(400);
    expect(browser.cookies("latchkey_browser")).toEqual([cookie]);
    expect(world.events("nina").filter(({ kind }) => kind === "issued")).toHaveLength(1);
  });
});

test("F34 two users in two windows of one browser are not mixed: lists, keys, tools and sign-out are each one's own", async () => {
  const browser = world.browser();
  const [olga, pete] = [await world.signIn("olga", browser), await world.signIn("pete", browser)];
  for (const [own, other] of [
    [olga, pete],
    [pete, olga],
  ] as const) {
    expect((await own.window.list()).map(({ id }) => id)).toEqual([own.handle]);
    expect((await own.window.get(`/api/sessions/${other.handle}`)).status).toBe(404);
    expect((await own.window.delete(`/api/sessions/${other.handle}`)).status).toBe(404);
    for (const transport of httpTransports) expect(await (await world.connect(transport, own)).whoami()).toBe(own.name);
  }
  // A call that does not say which window it is from is nobody's.
  const unnamed = await browser.get("/api/me");
  expect(unnamed).toMatchObject({ status: 409 });
  expect((await olga.window.signOut()).status).toBe(200);
  expect(await (await world.connect("http", pete)).notes()).toEqual([]);
  expect((await pete.window.health()).state).toBe("live");
  expect((await olga.window.get("/api/sessions")).status).toBe(401);
});
