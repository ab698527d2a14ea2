import { describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import { faultServer, refresh } from "./plain-client.ts";

describe("rotation", () => {
  test("is strict by default: the second use of a refresh token revokes the family and counts as reuse", async () => {
    const server = await faultServer();
    const login = await server.issue({ subject: "alice" });
    const first = await refresh(server, login.refreshToken);
    expect(first.status).toBe(200);
    expect(server.isActive(String(first.json.refresh_token))).toBe(true);
    expect(server.isActive(login.refreshToken)).toBe(false);
    const second = await refresh(server, login.refreshToken);
    expect([second.status, second.json]).toEqual([400, { error: "invalid_grant" }]);
    expect(server.isActive(String(first.json.refresh_token))).toBe(false);
    expect(server.isAccessTokenActive(String(first.json.access_token))).toBe(false);
    expect(server.ledger.reuseEvents).toMatchObject([{ family: "family-1", generation: 0 }]);
    expect(server.ledger.families).toMatchObject([{ family: "family-1", subject: "alice", generation: 1, ended: "reuse" }]);
    expect((await refresh(server, first.json.refresh_token)).json).toEqual({ error: "invalid_grant" });
    expect(server.ledger.reuseEvents).toHaveLength(1);
    expect(server.ledger.refreshes).toMatchObject([
      { number: 1, family: "family-1", generation: 0, presentedAs: "current", outcome: "rotated", status: 200, reply: "whole" },
      { number: 2, family: "family-1", generation: 0, presentedAs: "consumed", outcome: "reuse", status: 400, reply: "whole" },
      { number: 3, family: "family-1", generation: 1, presentedAs: "revoked", outcome: "refused", status: 400, reply: "whole" },
    ]);
  });

  test("with grace, answers a consumed refresh token by the same successor, and takes it for reuse after the period", async () => {
    const clock = new ManualClock();
    const server = await faultServer({ clock, behaviours: [{ kind: "grace_rotation", seconds: 30, answer: "same_successor" }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    const first = await refresh(server, refreshToken);
    await clock.advance(30_000);
    const again = await refresh(server, refreshToken);
    expect(again.json.refresh_token).toBe(first.json.refresh_token);
    expect(server.ledger.refreshes[1]).toMatchObject({ presentedAs: "consumed", outcome: "replayed" });
    await clock.advance(1);
    expect((await refresh(server, refreshToken)).status).toBe(400);
    expect(server.ledger.reuseEvents).toHaveLength(1);
  });

  test("with grace and new children, both of them live", async () => {
    const server = await faultServer({ behaviours: [{ kind: "grace_rotation", seconds: 30, answer: "new_child" }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    const children = [await refresh(server, refreshToken), await refresh(server, refreshToken)].map(({ json }) =>
      String(json.refresh_token),
    );
    expect(new Set(children).size).toBe(2);
    expect(children.map((child) => server.isActive(child))).toEqual([true, true]);
  });

  test("can be off, with the same refresh token in the reply or with none", async () => {
    const server = await faultServer({ behaviours: [{ kind: "no_rotation", reply: "same_token" }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    expect((await refresh(server, refreshToken)).json.refresh_token).toBe(refreshToken);
    server.set({ kind: "no_rotation", reply: "no_token" });
    const reply = await refresh(server, refreshToken);
    expect(reply.status).toBe(200);
    expect(reply.json).not.toHaveProperty("refresh_token");
    expect(server.ledger.refreshes.map(({ outcome }) => outcome)).toEqual(["kept", "kept"]);
  });

  test("can be late: the same refresh token until a share of its life is over", async () => {
    const clock = new ManualClock();
    const server = await faultServer({
      clock,
      behaviours: [
        { kind: "late_rotation", afterShare: 0.7 },
        { kind: "refresh_token_life", seconds: 100, mode: "sliding" },
      ],
    });
    const { refreshToken } = await server.issue({ subject: "alice" });
    await clock.advance(69_000);
    expect((await refresh(server, refreshToken)).json.refresh_token).toBe(refreshToken);
    await clock.advance(1_000);
    expect((await refresh(server, refreshToken)).json.refresh_token).not.toBe(refreshToken);
  });
});

describe("the life of a refresh token", () => {
  test.each([
    ["sliding" as const, 100, 200],
    ["absolute" as const, 40, 400],
  ])("%s: is told, and ends when it says", async (mode, told, lastStatus) => {
    const clock = new ManualClock();
    const server = await faultServer({ clock, behaviours: [{ kind: "refresh_token_life", seconds: 100, mode, told: true }] });
    const { refreshToken } = await server.issue({ subject: "alice" });
    await clock.advance(60_000);
    const first = await refresh(server, refreshToken);
    expect(first.json.refresh_expires_in).toBe(told);
    await clock.advance(60_000);
    expect((await refresh(server, first.json.refresh_token)).status).toBe(lastStatus);
    expect(server.ledger.families[0]?.ended).toBe(mode === "sliding" ? undefined : "expired");
    expect(server.ledger.reuseEvents).toEqual([]);
  });
});

test("an early refresh is refused with 400 and consumes nothing", async () => {
  const clock = new ManualClock();
  const behaviours = [{ kind: "early_refresh_refused", untilShare: 0.5 } as const, { kind: "access_token_life", seconds: 100 } as const];
  const server = await faultServer({ clock, behaviours });
  const { refreshToken } = await server.issue({ subject: "alice" });
  await clock.advance(49_000);
  expect((await refresh(server, refreshToken)).json).toEqual({ error: "invalid_request" });
  await clock.advance(1_000);
  expect((await refresh(server, refreshToken)).status).toBe(200);
});

test("old access tokens live on after a refresh, unless they are told to die", async () => {
  const server = await faultServer();
  const { refreshToken, accessToken } = await server.issue({ subject: "alice" });
  const first = await refresh(server, refreshToken);
  expect(server.isAccessTokenActive(accessToken)).toBe(true);
  server.set({ kind: "old_access_token_dies" });
  await refresh(server, first.json.refresh_token);
  expect(server.isAccessTokenActive(accessToken)).toBe(false);
  expect(server.isAccessTokenActive(String(first.json.access_token))).toBe(false);
});
