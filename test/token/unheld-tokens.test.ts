import { describe, expect, it } from "vitest";
import type { AccessToken, AttemptId, LoginSessionId } from "../../src/session/login-session.ts";
import { JournalReplay } from "../../src/token/journal-replay.ts";
import { storeReply } from "../../src/token/reply-settlement.ts";
import { tokensOfLogin } from "../../src/token/unheld-tokens.ts";
import { KeptDisk } from "../support/kept-disk.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench } from "../support/token-bench.ts";

const token = { kind: "access_token" as const, token: "at" as AccessToken };
const unavailable = { kind: "unavailable" as const, cause: new Error("503") };
const day = 24 * 3_600_000;

describe("tokens that no login session holds", () => {
  it("are revoked at once, the refresh token first", async () => {
    const { one, server } = makeBench();
    const login = server.signIn("alice");
    await one.core.unheld.revoke("main", tokensOfLogin(login));
    expect(server.revoked.map((each) => each.token)).toEqual([login.tokens.refreshToken, login.tokens.accessToken]);
    expect(tokensOfLogin({ ...login, tokens: { ...login.tokens, refreshToken: undefined } })).toHaveLength(1);
    expect(one.events[0]).toEqual({ event: "revocation_done", issuer: server.issuer, token: "refresh_token", outcome: "revoked" });
    expect(one.core.unheld.size).toBe(0);
  });

  it("are tried again until they are revoked, and nothing fails by that (I4)", async () => {
    const { clock, one, server } = makeBench();
    const login = server.signIn("alice");
    server.revocationAnswer = unavailable;
    await one.core.unheld.revoke("main", tokensOfLogin(login));
    expect(one.core.unheld.size).toBe(1);
    await clock.advance(3_600_000 - 1_000);
    expect(server.revoked).toEqual([]);
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(300_000);
    expect(server.isFamilyAlive(String(login.tokens.refreshToken))).toBe(false);
    expect(one.core.unheld.size).toBe(0);
    expect(one.events.map((each) => [each.event, each["token"]])).toEqual([
      ["revocation_failed", "refresh_token"],
      ["revocation_failed", "access_token"],
      ["revocation_done", "refresh_token"],
      ["revocation_failed", "access_token"],
    ]);
  });

  it("are said in the audit when they cannot be revoked at all, or have expired", async () => {
    const { clock, one, server } = makeBench();
    server.revocationAnswers.push({ kind: "unsupported" });
    await one.core.unheld.revoke("main", [token]);
    server.revoke = () => Promise.reject(new Error("unexpected"));
    await one.core.unheld.revoke("main", [token]);
    await clock.advance(2 * 3_600_000);
    expect(one.events.map((each) => [each.event, each["outcome"]])).toEqual([
      ["revocation_done", "unsupported"],
      ["revocation_failed", "unavailable"],
      ["revocation_failed", "expired"],
    ]);
    expect(one.core.unheld.size).toBe(0);
  });

  it("wait as long as the authorization server asks for", async () => {
    const { clock, one, server } = makeBench();
    server.revocationAnswers.push({ ...unavailable, retryAfterSeconds: 600 });
    await one.core.unheld.revoke("main", [token]);
    await clock.advance(599_000);
    expect(server.revocationTries).toBe(1);
    await clock.advance(2_000);
    expect(server.revoked).toEqual([token]);
  });

  it("are found after a restart, and revoked then (I4)", async () => {
    const disk = new KeptDisk();
    const { one, another, server, clock } = makeBench({}, { journal: disk.journal() });
    const login = server.signIn("alice");
    server.revocationAnswer = unavailable;
    await one.core.unheld.revoke("main", tokensOfLogin(login));
    one.core.unheld.stop();
    disk.die();
    await clock.advance(day);
    expect(server.revocationTries).toBe(2);
    server.revocationAnswer = { kind: "revoked" };
    const { core, imports } = another("two");
    const replay = new JournalReplay(core, imports);
    await replay.start();
    replay.stop();
    expect(server.isFamilyAlive(String(login.tokens.refreshToken))).toBe(false);
    expect(disk.kept.size).toBe(0);
  });

  it("are kept before the first try: a process that dies in it loses none (I4)", async () => {
    const disk = new KeptDisk();
    const { one, server } = makeBench({ pauseOther: () => new Promise(() => {}) }, { journal: disk.journal() });
    void one.core.unheld.revoke("main", tokensOfLogin(server.signIn("alice")));
    await settle();
    expect(disk.kept.size).toBe(1);
  });

  it("are tried all the same when the disk does not take them", async () => {
    const disk = new KeptDisk();
    disk.isBroken = true;
    const { one, server } = makeBench({}, { journal: disk.journal() });
    await one.core.unheld.revoke("main", [token]);
    expect(server.revoked).toEqual([token]);
  });

  it("do not fill the memory: beyond 1,000 debts each is tried once, and stays in the journal (I16)", async () => {
    const disk = new KeptDisk();
    const { one, server } = makeBench({}, { journal: disk.journal() });
    server.revocationAnswer = unavailable;
    for (let debt = 0; debt < 1_010; debt += 1) await one.core.unheld.revoke("main", [token]);
    expect(one.core.unheld.size).toBe(1_000);
    expect(disk.kept.size).toBe(1_010);
  });
});

describe("a late reply whose record is gone", () => {
  it("is revoked, also when the first try of that fails (I4)", async () => {
    const { clock, one, server } = makeBench();
    const login = server.signIn("alice");
    const { principal, tokens } = login;
    server.revocationAnswer = unavailable;
    const attempt = {
      id: "attempt-1" as AttemptId,
      epoch: 1,
      generation: 1,
      owner: "one",
      claimedAt: 0,
      deadline: 1,
      target: { scopes: [] },
      reason: "due" as const,
      lost: false,
    };
    const body = JSON.stringify({ access_token: tokens.accessToken, refresh_token: tokens.refreshToken });
    const gone = { id: "gone" as LoginSessionId, authorizationServer: "main", principal };
    await storeReply(one.core, gone, attempt, { sentAt: 0, receivedAt: 1, body });
    expect(server.isFamilyAlive(String(tokens.refreshToken))).toBe(true);
    server.revocationAnswer = { kind: "revoked" };
    await clock.advance(10_000);
    expect(server.isFamilyAlive(String(tokens.refreshToken))).toBe(false);
  });
});
