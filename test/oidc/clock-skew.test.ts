import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import { ServerClock } from "../../src/oidc/server-clock.ts";
import { ScriptedAuthorizationServer, sendJson } from "../support/scripted-authorization-server.ts";
import { HeldClock, recordingServices, refreshRequest, refreshToken, settingsFor, tokenBody } from "./fixtures.ts";

const noon = Date.UTC(2026, 0, 1, 12);

/** An answer of a server whose clock shows `serverAt` when it writes it, as this machine's clock sees it. */
const answer = (sentAt: number, receivedAt: number, serverAt: number, headers: Record<string, string> = {}) => ({
  sentAt,
  receivedAt,
  headers: new Headers({ date: new Date(Math.floor(serverAt / 1000) * 1000).toUTCString(), ...headers }),
});

describe("the clock of an authorization server", () => {
  it("is unknown until an answer has a date", () => {
    const clock = new ServerClock(60);
    clock.note({ sentAt: noon, receivedAt: noon, headers: new Headers() });
    clock.note({ sentAt: noon, receivedAt: noon, headers: new Headers({ date: "yesterday" }) });
    expect(clock.aheadSeconds).toBeUndefined();
    expect(clock.isRemarkable).toBe(false);
  });

  it.each([
    ["ahead", 120],
    ["behind", -3600],
  ])("is measured when this machine's is %s", (_side, offset) => {
    const clock = new ServerClock(60);
    clock.note(answer(noon + offset * 1000, noon + offset * 1000 + 40, noon + 20));
    expect(clock.aheadSeconds).toBe(offset);
    expect(clock.isRemarkable).toBe(true);
  });

  it("is not called wrong for a slow answer: that may all be the network", () => {
    const clock = new ServerClock(0);
    clock.note(answer(noon, noon + 40_000, noon + 39_000));
    clock.note(answer(noon, noon + 40_000, noon + 1_000));
    expect(clock.aheadSeconds).toBe(0);
    expect(clock.isRemarkable).toBe(false);
  });

  it("is narrowed down by more answers, so that one slow answer spoils nothing", () => {
    const clock = new ServerClock(60);
    clock.note(answer(noon + 90_000, noon + 90_100, noon + 50));
    clock.note(answer(noon + 100_000, noon + 130_000, noon + 39_000));
    expect(clock.aheadSeconds).toBe(90);
  });

  it("is measured anew when a clock was set, and after an hour", () => {
    const clock = new ServerClock(60);
    clock.note(answer(noon + 90_000, noon + 90_100, noon + 50));
    clock.note(answer(noon + 200_000, noon + 200_100, noon + 200_050));
    expect(clock.aheadSeconds).toBe(0);
    expect(clock.isRemarkable).toBe(false);
    const later = noon + 4000_000;
    clock.note(answer(later + 900, later + 1_000, later));
    clock.note(answer(later, later + 30_000, later + 29_000));
    expect(clock.aheadSeconds).toBe(0);
  });

  it("is not measured by an answer out of a cache", () => {
    const clock = new ServerClock(60);
    clock.note(answer(noon, noon + 10, noon - 3600_000, { age: "3600" }));
    expect(clock.aheadSeconds).toBeUndefined();
    clock.note(answer(noon, noon + 10, noon + 5, { age: "0" }));
    expect(clock.aheadSeconds).toBe(0);
  });

  it.each([
    ["within the tolerance", 60, 20, false],
    ["half a minute, whatever the tolerance", 600, 40, true],
    ["beyond a small tolerance", 5, 10, true],
    ["a second, with no tolerance at all", 0, 1, false],
  ])("is worth words or not: %s", (_name, tolerance, seconds, remarkable) => {
    const clock = new ServerClock(tolerance);
    clock.note(answer(noon + seconds * 1000, noon + seconds * 1000 + 10, noon + 5));
    expect(clock.isRemarkable).toBe(remarkable);
  });
});

describe("a machine whose clock is wrong", () => {
  let server: ScriptedAuthorizationServer;
  beforeEach(async () => {
    server = await ScriptedAuthorizationServer.start();
  });
  afterEach(() => server.close());

  it("says so once in the log and in words, as long as it lasts, and refreshes all the same (core.md, section 7)", async () => {
    const clock = new HeldClock();
    const { lines, services } = recordingServices(clock);
    const adapter = new AuthorizationServers([settingsFor(server)], services);
    server.onToken(tokenBody);
    expect((await adapter.refresh(refreshRequest())).kind).toBe("rotated");
    expect(adapter.clockNote("main")).toBeUndefined();
    clock.offsetMs = 3600_000;
    for (let round = 0; round < 3; round += 1) expect((await adapter.refresh(refreshRequest())).kind).toBe("rotated");
    expect(adapter.clockNote("main")).toMatch(/^The clock of Latchkey's machine is 3(600|599|601) s ahead of that of http:/);
    clock.offsetMs = 0;
    await adapter.refresh(refreshRequest());
    expect(adapter.clockNote("main")).toBeUndefined();
    const said = lines.map((line) => JSON.parse(line).message as string).filter((message) => message.includes("clock"));
    expect(said).toEqual([
      "This machine's clock differs from an authorization server's: set it right",
      "This machine's clock agrees with an authorization server's again",
    ]);
    expect(adapter.clockNote("unknown")).toBeUndefined();
  });

  it("counts what introspection says of a refresh token's end by its own clock", async () => {
    const clock = new HeldClock();
    clock.offsetMs = -7200_000;
    const exp = Math.floor(Date.now() / 1000) + 600;
    server.on("/introspect", (_request, response) => sendJson(response, 200, { active: true, exp }));
    const outcome = await new AuthorizationServers([settingsFor(server)], recordingServices(clock).services).introspect(
      "main",
      refreshToken(),
    );
    if (outcome.kind !== "active") throw new Error(outcome.kind);
    expect(Math.abs((outcome.expiresAt ?? 0) - clock.now() - 600_000)).toBeLessThan(5_000);
  });

  it("understands a Retry-After that is a date by the server's clock (RFC 9110, section 10.2.3)", async () => {
    const clock = new HeldClock();
    clock.offsetMs = 3600_000;
    server.on("/token", (_request, response) =>
      sendJson(response, 429, {}, { date: new Date(noon).toUTCString(), "retry-after": new Date(noon + 20_000).toUTCString() }),
    );
    const adapter = new AuthorizationServers([settingsFor(server)], recordingServices(clock).services);
    expect(await adapter.refresh(refreshRequest())).toMatchObject({ kind: "refused", retryAfterSeconds: 20 });
  });
});
