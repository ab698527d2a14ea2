import { request } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { LoopbackSignIn, type LoopbackSignInOptions } from "../../src/local/loopback-sign-in.ts";
import type { SignInServers } from "../../src/local/sign-in-servers.ts";
import { aLoginSession } from "../session/records.ts";
import { ManualClock } from "../support/manual-clock.ts";

type Login = Awaited<ReturnType<SignInServers["completeLogin"]>>;
const record = aLoginSession("a");

describe("a sign-in by loopback redirect (RFC 8252)", () => {
  test("takes the browser to the authorization server, and back once with a state that it gave out (B7)", async () => {
    const { signIn, completed } = await open();
    const there = await fetch(signIn.link, { redirect: "manual" });
    expect(there.status).toBe(302);
    const address = new URL(there.headers.get("location") ?? "");
    const back = new URL(address.searchParams.get("redirect_uri") ?? "");
    expect(back.hostname).toBe("127.0.0.1");
    back.search = `?code=c&state=another`;
    expect((await fetch(back)).status).toBe(400);
    back.search = `?code=c&state=${address.searchParams.get("state")}`;
    const page = await fetch(back);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page.headers.get("referrer-policy")).toBe("no-referrer");
    expect(await page.text()).toContain("You are signed in as");
    expect(await signIn.outcome).toEqual({ kind: "signed_in", signedIn: { kind: "new", record } });
    expect(completed).toMatchObject([{ state: "state-1", nonce: "nonce-1", codeVerifier: "verifier-1" }]);
    await expect(fetch(back)).rejects.toThrow();
  });

  test("begins anew each time that the link is opened", async () => {
    const { signIn, completed } = await open();
    await fetch(signIn.link, { redirect: "manual" });
    const second = new URL((await fetch(signIn.link, { redirect: "manual" })).headers.get("location") ?? "");
    await fetch(`${second.searchParams.get("redirect_uri")}?code=c&state=${second.searchParams.get("state")}`);
    expect(completed).toMatchObject([{ state: "state-2", codeVerifier: "verifier-2" }]);
  });

  test("serves nobody who comes by another name, another way or to another path (B12)", async () => {
    const { signIn } = await open();
    const { port, pathname } = new URL(signIn.link);
    expect(await ask(port, pathname, { host: "evil.example" })).toBe(421);
    expect(await ask(port, pathname, { host: "127.0.0.1" })).toBe(421);
    expect(await ask(port, pathname, { host: `localhost:${port}` })).toBe(302);
    expect(await ask(port, pathname, { host: `127.0.0.1:${port}` }, "POST")).toBe(405);
    expect(await ask(port, `${pathname}x`, { host: `127.0.0.1:${port}` })).toBe(404);
    expect(await ask(port, "/", { host: `127.0.0.1:${port}` })).toBe(404);
    expect(signIn.isOpen).toBe(true);
  });

  test("lets the user choose between several authorization servers", async () => {
    const { signIn } = await open({ authorizationServers: ["main", "other"] });
    const page = await (await fetch(signIn.link, { redirect: "manual" })).text();
    expect(page).toContain("?server=main");
    expect(page).toContain("?server=other");
    const chosen = await fetch(`${signIn.link}?server=other`, { redirect: "manual" });
    expect(chosen.headers.get("location")).toContain("https://other.example/");
    expect((await fetch(`${signIn.link}?server=third`, { redirect: "manual" })).status).toBe(200);
  });

  test("ends with the reason when the sign-in is not taken, and shows it escaped", async () => {
    const problem = new LatchkeyError("forbidden", "You are <b>bob</b>.");
    const { signIn } = await open({ finish: () => Promise.reject(problem) });
    const address = new URL(await signIn.begin());
    const page = await fetch(`${address.searchParams.get("redirect_uri")}?code=c&state=${address.searchParams.get("state")}`);
    expect(page.status).toBe(400);
    expect(await page.text()).toContain("You are &#60;b&#62;bob&#60;/b&#62;.");
    expect(await signIn.outcome).toEqual({ kind: "failed", error: problem });
  });

  test("is over after ten minutes, counted anew when somebody is told of it", async () => {
    const { signIn, clock } = await open();
    await clock.advance(9 * 60_000);
    signIn.extend();
    await clock.advance(9 * 60_000);
    expect(signIn.isOpen).toBe(true);
    await clock.advance(2 * 60_000);
    expect(signIn.isOpen).toBe(false);
    expect(await signIn.outcome).toEqual({ kind: "over" });
  });

  test("says that a fixed port is taken", async () => {
    const { signIn } = await open();
    const port = Number(new URL(signIn.link).port);
    await expect(open({ port })).rejects.toMatchObject({ code: "configuration_invalid", message: expect.stringContaining(`${port}`) });
    signIn.close();
    await signIn.outcome;
    const again = await open({ port });
    expect(new URL(again.signIn.link).port).toBe(String(port));
  });
});

async function open(options: Partial<LoopbackSignInOptions> = {}) {
  const clock = new ManualClock();
  const completed: unknown[] = [];
  let number = 0;
  const servers: SignInServers = {
    beginLogin: async (name, { redirectUri }) => {
      number += 1;
      const state = `state-${number}`;
      const query = new URLSearchParams({ state, redirect_uri: redirectUri });
      return { url: `https://${name}.example/authorize?${query}`, state, nonce: `nonce-${number}`, codeVerifier: `verifier-${number}` };
    },
    completeLogin: async (_name, request) => {
      completed.push(request);
      return login;
    },
    offersDeviceLogin: async () => false,
    beginDeviceLogin: () => Promise.reject(new Error("not here")),
    pollDeviceLogin: () => Promise.reject(new Error("not here")),
  };
  const signIn = await LoopbackSignIn.open({
    profile: "work",
    authorizationServers: ["main"],
    port: 0,
    servers,
    promptFor: async () => undefined,
    finish: async () => ({ kind: "new", record }),
    clock,
    ...options,
  });
  onTestFinished(() => signIn.close());
  return { signIn, clock, completed };
}

/** As fetch does not let one: with a Host header of one's own. Gives the status. */
function ask(port: string, path: string, headers: Readonly<Record<string, string>>, method = "GET"): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, headers, method, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    outgoing.once("error", reject).end();
  });
}

const login: Login = {
  authorizationServer: "main",
  principal: record.principal,
  profile: {},
  tokens: { accessToken: "at" as Login["tokens"]["accessToken"], expiresInSeconds: 60 },
  obtainedAt: 0,
};
