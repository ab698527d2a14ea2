import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { Faults, parseFaultSettings } from "../../src/demo/faults.ts";
import { HeldClock } from "./held-clock.ts";
import { PlainClient, read, redirectUri } from "./plain-client.ts";

let clock: HeldClock;
let server: DemoAuthorizationServer;
let client: PlainClient;
let refreshToken: unknown;

beforeEach(async () => {
  clock = new HeldClock();
  server = await startDemoAuthorizationServer({ apiUrl: "http://127.0.0.1:8422", redirectUris: [redirectUri], clock });
  client = new PlainClient(server);
  refreshToken = (await client.login("alice")).body.refresh_token;
});

afterEach(() => server.close());

const kinds = (): readonly string[] => server.events().map(({ kind }) => kind);
const status = async (path: string): Promise<number | "cut"> =>
  fetch(server.issuer + path).then(
    (response) => response.status,
    () => "cut" as const,
  );

describe("the fault", () => {
  test("down cuts every request but those to /demo, for its time", async () => {
    server.setFault({ kind: "down", seconds: 60 });
    await expect(client.refresh(refreshToken)).rejects.toThrow();
    expect([await status("/jwks"), await status("/.well-known/openid-configuration"), await status("/demo/fault")]).toEqual([
      "cut",
      "cut",
      200,
    ]);
    clock.skip(60_001);
    expect(await status("/jwks")).toBe(200);
    expect((await client.refresh(refreshToken)).status).toBe(200);
    expect(kinds()).toEqual(["issued", "refreshed"]);
  });

  test("503 answers with Retry-After as often as it was told, everywhere", async () => {
    server.setFault({ kind: "503", count: 2 });
    const reply = await fetch(`${server.issuer}/token`, { method: "POST" });
    expect([reply.status, reply.headers.get("retry-after"), reply.headers.get("content-type")]).toEqual([
      503,
      "5",
      "application/problem+json",
    ]);
    expect(await status("/jwks")).toBe(503);
    expect(await status("/jwks")).toBe(200);
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  test("slow takes a token request up late, and no other", async () => {
    server.setFault({ kind: "slow", delaySeconds: 7, count: 1 });
    const refresh = client.refresh(refreshToken);
    expect(await clock.waiting()).toBe(7000);
    expect(await status("/jwks")).toBe(200);
    expect(kinds()).toEqual(["issued"]);
    clock.release();
    expect((await refresh).status).toBe(200);
    expect(kinds()).toEqual(["issued", "refreshed"]);
  });

  test("drop-reply rotates and loses the answer (F4)", async () => {
    server.setFault({ kind: "drop-reply", count: 1 });
    await expect(client.refresh(refreshToken)).rejects.toThrow();
    expect(kinds()).toEqual(["issued", "refreshed"]);
    expect((await client.introspect(refreshToken)).body).toEqual({ active: false });
    expect((await client.refresh(refreshToken)).status).toBe(400);
    expect(kinds()).toEqual(["issued", "refreshed", "introspected", "reuse", "revoked"]);
  });

  test("drop-request loses the request before anything happens (F5)", async () => {
    server.setFault({ kind: "drop-request", count: 1 });
    await expect(client.refresh(refreshToken)).rejects.toThrow();
    expect(kinds()).toEqual(["issued"]);
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  test("none takes all away", async () => {
    server.setFault({ kind: "down" });
    server.setFault({ kind: "503" });
    server.setFault({ kind: "none" });
    expect(server.faults()).toEqual([]);
    expect(await status("/jwks")).toBe(200);
  });
});

describe("POST /demo/fault", () => {
  const post = (body: unknown) =>
    fetch(`${server.issuer}/demo/fault`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });

  test("switches a fault on, and GET shows it with what is left of it", async () => {
    expect((await post({ kind: "503", seconds: 30, count: 3 })).status).toBe(200);
    await status("/jwks");
    const shown = await read(await fetch(`${server.issuer}/demo/fault`));
    expect(shown.body).toEqual({ faults: [{ kind: "503", hits: 1, left: 2, endsAt: expect.any(String) }] });
    const leftMs = Date.parse(server.faults()[0]?.endsAt ?? "") - clock.now();
    expect(leftMs).toBeGreaterThan(20_000);
    expect(leftMs).toBeLessThanOrEqual(30_000);
    await post({ kind: "none" });
    expect(await (await fetch(`${server.issuer}/demo/fault`)).json()).toEqual({ faults: [] });
  });

  test("lasts 60 s unless told otherwise", async () => {
    await post({ kind: "503" });
    clock.skip(59_000);
    expect(await status("/jwks")).toBe(503);
    clock.skip(2_000);
    expect(await status("/jwks")).toBe(200);
  });

  test("names all problems at once and changes nothing", async () => {
    const reply = await post({ kind: "broken", seconds: -1, count: 1.5, delaySeconds: 1, extra: true });
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
    const problem = await read(reply);
    expect(problem).toMatchObject({ status: 400, body: { status: 400, code: "invalid_request" } });
    expect(problem.body.problems).toHaveLength(5);
    expect(server.faults()).toEqual([]);
  });

  test.each(["", "[]", "null", '"down"', "{", '{"kind":"none","seconds":"60"}'])("refuses the body %s", async (body) => {
    expect((await post(body)).status).toBe(400);
  });

  test("refuses a body without end", async () => {
    expect((await post("x".repeat(20_000))).status).toBe(413);
  });
});

describe("faults together", () => {
  test("the harder one comes first; a delay and a lost answer go together", () => {
    const faults = new Faults(clock);
    for (const kind of ["slow", "drop-reply", "drop-request", "503", "down"] as const) faults.set({ kind, count: 1 });
    const plans = Array.from({ length: 5 }, () => faults.plan("token").kind);
    expect(plans.slice(0, 3)).toEqual(["cut", "unavailable", "cut"]);
    expect(plans.slice(3)).toEqual(["serve", "serve"]);
    faults.set({ kind: "slow", count: 1, delaySeconds: 3 });
    faults.set({ kind: "drop-reply", count: 1 });
    expect(faults.plan("other")).toEqual({ kind: "serve", delayMs: 0, dropReply: false });
    expect(faults.plan("token")).toEqual({ kind: "serve", delayMs: 3000, dropReply: true });
    expect(faults.plan("token")).toEqual({ kind: "serve", delayMs: 0, dropReply: false });
  });

  test("the settings from code are checked like those from the wire", () => {
    expect(() => new Faults(clock).set({ kind: "503", seconds: 0 })).toThrow("seconds");
    expect(parseFaultSettings({ kind: "slow", delaySeconds: 1.5 })).toMatchObject({ kind: "slow", delaySeconds: 1.5 });
  });
});
