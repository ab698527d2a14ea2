import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import type { TestBrowser, TestWindow } from "./test-browser.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

const none: Record<string, string> = {};
let bench: WebBench;
let browser: TestBrowser;
let alice: TestWindow;

beforeEach(async () => {
  bench = await startWebBench();
  browser = bench.browser();
  alice = await browser.signIn("alice");
});

afterEach(() => bench.close());

function idsOf(answer: { readonly json: Readonly<Record<string, unknown>> }): string[] {
  const { sessions } = answer.json;
  return Array.isArray(sessions) ? sessions.map(({ id }: { id: string }) => id) : [];
}

function csrfRefusals(): unknown[] {
  return bench.replica.events.filter(({ event }) => event === "csrf_refused").map(({ reason }) => reason);
}

describe("which login session a window speaks for", () => {
  it("needs no name while the browser holds exactly one", async () => {
    expect((await browser.get("/api/me")).json).toMatchObject({ login: alice.handle, logins: [alice.handle] });
  });

  it("is nobody's without a cookie, and with a cookie of nobody", async () => {
    for (const headers of [none, { cookie: `latchkey_browser_${bench.port}=${"x".repeat(43)}` }]) {
      const { status, json } = await bench.browser().get("/api/me", headers);
      expect(status).toBe(401);
      expect(json).toMatchObject({ code: "unauthorized", signIn: "/login" });
    }
  });

  it("has to be named when the browser holds several: 409 with the list, and none is the current one (section 6)", async () => {
    const bob = await browser.signIn("bob");
    const { status, json } = await browser.get("/api/sessions");
    expect(status).toBe(409);
    expect(json).toMatchObject({
      code: "conflict",
      logins: [alice.handle, bob.handle],
      signedIn: [
        { id: alice.handle, name: "alice", state: "live" },
        { id: bob.handle, name: "bob", state: "live" },
      ],
    });
  });

  it("cannot be one of another browser, even of the same user", async () => {
    const elsewhere = await bench.browser().signIn("alice");
    const { status, json } = await browser.window(elsewhere.handle).get("/api/me");
    expect(status).toBe(404);
    expect(json.code).toBe("not_found");
  });

  it("is over once it has ended: 401, and the user's other login sessions are not shown to it", async () => {
    const other = await bench.browser().signIn("alice");
    await alice.delete(`/api/sessions/${alice.handle}`);
    expect((await alice.get("/api/sessions")).json).toMatchObject({ status: 401, code: "login_ended", reason: "logout" });
    expect((await alice.get(`/api/sessions/${other.handle}`)).status).toBe(401);
    expect((await browser.get("/api/me")).status).toBe(401);
  });

  it("is forgotten by the browser once the login session was purged", async () => {
    const record = await bench.mustGet(alice.handle);
    await alice.delete(`/api/sessions/${alice.handle}`);
    await bench.replica.core.sessions.remove(await bench.mustGet(alice.handle));
    expect((await alice.get("/api/me")).status).toBe(404);
    const bob = await browser.signIn("bob");
    expect(bob.handle).not.toBe(record.handle);
    expect((await bob.get("/api/me")).json.logins).toEqual([bob.handle]);
  });
});

describe("two windows of one browser, two users (S2, F34)", () => {
  it("each sees, counts and ends its own user's login sessions alone", async () => {
    const bob = await browser.signIn("bob");
    expect(idsOf(await alice.get("/api/sessions"))).toEqual([alice.handle]);
    expect(idsOf(await bob.get("/api/sessions"))).toEqual([bob.handle]);
    for (const path of [`/api/sessions/${bob.handle}`, `/api/sessions/${bob.handle}/keys`])
      expect((await alice.get(path)).status).toBe(404);
    expect((await alice.delete(`/api/sessions/${bob.handle}`)).status).toBe(404);
    expect((await alice.post(`/api/sessions/${bob.handle}/keys`, { name: "mine" })).status).toBe(404);
    expect((await bench.mustGet(bob.handle)).state).toBe("live");
    expect((await alice.delete(`/api/sessions/${alice.handle}`)).status).toBe(200);
    expect((await bob.get("/api/me")).json).toMatchObject({ login: bob.handle, user: { subject: "bob" } });
  });

  it("an older window gets a new CSRF token after the cookie has changed, and carries on", async () => {
    const old = await alice.csrfToken();
    await browser.signIn("bob");
    const refused = await alice.post(`/api/sessions/${alice.handle}/keys`, { name: "laptop" }, old);
    expect(refused.json).toMatchObject({ status: 403, code: "forbidden", reason: "csrf_token" });
    expect((await alice.post(`/api/sessions/${alice.handle}/keys`, { name: "laptop" })).status).toBe(201);
  });
});

describe("what a user sees", () => {
  it("is all of the user's login sessions, wherever they began, newest first, and no token", async () => {
    await bench.clock.advance(1000);
    const elsewhere = await bench.browser().signIn("alice");
    await bench.browser().signIn("mallory");
    bench.connections.set((await bench.mustGet(elsewhere.handle)).id, 3);
    const answer = await alice.get("/api/sessions");
    expect(idsOf(answer)).toEqual([elsewhere.handle, alice.handle]);
    expect(answer.json.sessions).toMatchObject([
      {
        issuer: bench.server.issuer,
        subject: "alice",
        name: "alice",
        state: "live",
        created: "2026-01-01T00:00:01.000Z",
        lastRefresh: "2026-01-01T00:00:01.000Z",
        accessTokenExpires: "2026-01-01T00:00:31.000Z",
        connections: 3,
        failures: 0,
        origin: "browser",
      },
      { connections: 0 },
    ]);
    expect(answer.json.serverTime).toBe("2026-01-01T00:00:01.000Z");
    const record = await bench.mustGet(alice.handle);
    for (const secret of [record.id, record.refreshToken, record.idToken, record.accessTokens[0]?.accessToken])
      expect(answer.text).not.toContain(String(secret));
  });

  it("is the health of one: a failed refresh is shown (R18)", async () => {
    bench.server.outage = { kind: "not_sent", cause: new Error("refused") };
    await bench.clock.advance(25_000);
    await bench.replica.maintenance.maintain((await bench.mustGet(alice.handle)).id);
    const { json } = await alice.get(`/api/sessions/${alice.handle}`);
    expect(json).toMatchObject({ state: "live", failures: 1, lastFailure: { kind: "not_sent", at: "2026-01-01T00:00:25.000Z" } });
    expect(json.nextRefresh).toBeDefined();
  });

  it("of somebody else looks exactly like what does not exist (B4)", async () => {
    const mallory = await bench.browser().signIn("mallory");
    const [foreign, unknown] = [
      await alice.get(`/api/sessions/${mallory.handle}`),
      await alice.get("/api/sessions/ls_000000000000000000000000"),
    ];
    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(unknown.text);
  });
});

describe("ending a login session", () => {
  it("answers the state reached and the revocation, and the same the second time (R15)", async () => {
    const path = `/api/sessions/${alice.handle}`;
    const csrfToken = await alice.csrfToken();
    const first = await alice.delete(path, csrfToken);
    expect(first.status).toBe(200);
    expect(first.json).toEqual({
      id: alice.handle,
      state: "ended",
      revocation: "done",
      endSessionUrl: `https://as.example/end-session?post_logout_redirect_uri=${encodeURIComponent(`${bench.url}/`)}`,
    });
    expect((await alice.delete(path, csrfToken)).json).toEqual(first.json);
    expect((await browser.request("DELETE", path, { headers: { "x-csrf-token": csrfToken } })).json).toEqual(first.json);
    expect(bench.server.revoked.map(({ kind }) => kind)).toEqual(["refresh_token", "access_token"]);
  });

  it("ends another of the user's login sessions, in whichever browser it began", async () => {
    const elsewhere = await bench.browser().signIn("alice");
    expect((await alice.delete(`/api/sessions/${elsewhere.handle}`)).json).toMatchObject({ id: elsewhere.handle, state: "ended" });
    expect((await alice.get("/api/me")).status).toBe(200);
    expect((await elsewhere.get("/api/me")).status).toBe(401);
  });

  it("says 503 and claims nothing while the store is away", async () => {
    const csrfToken = await alice.csrfToken();
    const { logout } = bench.replica;
    const end = logout.end.bind(logout);
    logout.end = () =>
      Promise.reject(new LatchkeyError("store_unavailable", "The store does not answer.", { retryable: true, retryAfterSeconds: 2 }));
    const away = await alice.delete(`/api/sessions/${alice.handle}`, csrfToken);
    expect(away.status).toBe(503);
    expect(away.headers.get("retry-after")).toBe("2");
    expect(away.json).toMatchObject({ code: "store_unavailable", retryable: true });
    expect((await alice.get("/api/me")).status).toBe(200);
    logout.end = end;
    expect((await alice.delete(`/api/sessions/${alice.handle}`, csrfToken)).status).toBe(200);
  });

  it("by POST /logout answers a script with JSON", async () => {
    const answer = await alice.post("/logout", {});
    expect(answer.json).toMatchObject({ id: alice.handle, state: "ended", revocation: "done" });
    expect(String(answer.json.endSessionUrl)).toContain("https://as.example/end-session?");
  });

  it("by POST /logout sends a form on to the authorization server, without a token in the address (B10)", async () => {
    const bob = await browser.signIn("bob");
    const body = new URLSearchParams({ login: alice.handle, csrf_token: await alice.csrfToken() }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
    const answer = await browser.request("POST", "/logout", { headers, body });
    expect(answer.status).toBe(303);
    expect(answer.headers.get("location")).toMatch(/^https:\/\/as\.example\/end-session\?post_logout_redirect_uri=[^&]+$/);
    expect((await bench.mustGet(alice.handle)).state).toBe("ended");
    expect((await bench.mustGet(bob.handle)).state).toBe("live");
  });

  it("by POST /logout goes to the start page where the authorization server has no logout of its own", async () => {
    await bench.close();
    bench = await startWebBench({ loginServers: { endSessionUrl: () => Promise.reject(new Error("discovery failed")) } });
    browser = bench.browser();
    alice = await browser.signIn("alice");
    const body = new URLSearchParams({ csrf_token: await alice.csrfToken() }).toString();
    const answer = await browser.request("POST", "/logout", { headers: { "content-type": "application/x-www-form-urlencoded" }, body });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/"]);
  });
});

describe("a changing call", () => {
  const change = async (headers: Record<string, string>) => {
    const response = await fetch(`${bench.url}/api/sessions/${alice.handle}`, {
      method: "DELETE",
      headers: { cookie: browser.cookieHeader, ...headers },
    });
    return { status: response.status, problem: await response.json() };
  };

  it("is refused without Origin and without Sec-Fetch-Site, and with a foreign or cross-site one", async () => {
    const token = { "x-csrf-token": await alice.csrfToken() };
    expect(await change(token)).toMatchObject({ status: 403, problem: { reason: "origin" } });
    expect(await change({ ...token, origin: "https://evil.example" })).toMatchObject({ status: 403 });
    expect(await change({ ...token, origin: "null" })).toMatchObject({ status: 403 });
    for (const site of ["cross-site", "same-site", "none"])
      expect(await change({ ...token, "sec-fetch-site": site })).toMatchObject({ status: 403, problem: { reason: "origin" } });
    expect((await bench.mustGet(alice.handle)).state).toBe("live");
    expect(csrfRefusals()).toEqual(["origin", "origin", "origin", "origin"]);
  });

  it("is refused without the CSRF token, and with that of another browser session; an audit event says so", async () => {
    const foreign = await (await bench.browser().signIn("alice")).csrfToken();
    const origin = { origin: bench.url };
    for (const token of [none, { "x-csrf-token": "" }, { "x-csrf-token": foreign }])
      expect(await change({ ...origin, ...token })).toMatchObject({ status: 403, problem: { code: "forbidden", reason: "csrf_token" } });
    expect((await bench.mustGet(alice.handle)).state).toBe("live");
    expect(csrfRefusals()).toEqual(["csrf_token", "csrf_token", "csrf_token"]);
  });

  it("passes with Origin or with Sec-Fetch-Site: same-origin", async () => {
    const token = { "x-csrf-token": await alice.csrfToken() };
    expect(await change({ ...token, "sec-fetch-site": "same-origin" })).toMatchObject({ status: 200 });
    expect(await change({ ...token, origin: bench.url })).toMatchObject({ status: 200 });
  });
});
