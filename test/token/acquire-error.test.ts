import { describe, expect, it } from "vitest";
import type { Audit } from "../../src/audit/audit.ts";
import type { EndedReason, FailureKind, LoginRequiredReason } from "../../src/session/login-session.ts";
import { acquireError, deadLoginError, insufficientScopeError } from "../../src/token/acquire-error.ts";
import { type Issuer, Issuers } from "../../src/token/issuers.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { ManualClock } from "../support/manual-clock.ts";

const record = aLoginSession("a");

function anIssuer(): Issuer {
  const audit: Audit = { record: () => {} };
  return new Issuers(
    [
      {
        name: "main",
        issuer: "https://as.example",
        defaultTarget: { scopes: [] },
        rotation: "auto",
        lostReply: "present",
        sharedGrant: "wait",
        introspection: "auto",
      },
    ],
    { clock: new ManualClock(), audit, random: () => 0.5, concurrencyPerIssuer: 1 },
  ).mustGet("main");
}

describe("a login session that serves nothing any more", () => {
  it.each<[LoginRequiredReason, string]>([
    ["grant_dead", "does not accept its refresh token"],
    ["lost_reply", "was lost on the way"],
    ["refused", "keeps refusing"],
    ["identity", "somebody else's tokens"],
    ["idle", "not used for a long time"],
    ["absolute_limit", "longest permitted age"],
  ])("because of %s asks for a new sign-in, and says why", (code, words) => {
    const error = deadLoginError(inState(record, "login_required", { reason: { code, at: 1 } }));
    expect(error).toMatchObject({ code: "login_required", retryable: false, details: { login: record.handle, reason: code } });
    expect(error.message).toContain(words);
  });

  it.each<[EndedReason, string]>([
    ["logout", "the user signed out"],
    ["backchannel_logout", "the authorization server signed the user out"],
    ["administrator", "an administrator"],
    ["import_owner", "the application that brought it in"],
  ])("because of %s has ended, and says why", (code, words) => {
    const error = deadLoginError(inState(record, "ended", { reason: { code, at: 1 } }));
    expect(error).toMatchObject({ code: "login_ended", retryable: false, details: { login: record.handle, reason: code } });
    expect(error.message).toContain(words);
  });

  it("without a known reason is over all the same", () => {
    const error = deadLoginError(inState(record, "ended", { reason: undefined }));
    expect(error).toMatchObject({ code: "login_ended", details: { login: record.handle, reason: undefined } });
    expect(error.message).toContain("it is over");
  });
});

describe("a login session that lives, without an access token right now", () => {
  it.each<[FailureKind, string]>([
    ["not_sent", "cannot be reached"],
    ["server_error", "an error of its own"],
    ["refused", "refused to refresh"],
    ["ambiguous", "not known whether the refresh took place"],
    ["unverified", "could not be verified yet"],
    ["client_broken", "clientId and clientSecret"],
    ["grant_dead", "could not be refreshed"],
  ])("after %s says what is wrong, and that trying again helps", (kind, words) => {
    const error = acquireError(record, anIssuer(), { kind }, 0);
    expect(error).toMatchObject({
      code: "authorization_server_unavailable",
      retryable: true,
      retryAfterSeconds: 1,
      details: { login: record.handle },
    });
    expect(error.message).toContain(words);
    expect(error.message).toContain("https://as.example");
  });

  it("says what was wrong last when this call asked nothing itself", () => {
    const failed = { ...record, health: { failures: 1, refusals: 0, lastFailure: { kind: "refused" as const, at: 1 } } };
    expect(acquireError(failed, anIssuer(), undefined, 0).message).toContain("refused to refresh");
    expect(acquireError(failed, anIssuer(), { kind: "not_sent" }, 0).message).toContain("cannot be reached");
    expect(acquireError(record, anIssuer(), undefined, 0).message).toContain("could not be refreshed");
  });

  it("names the client's credentials while the authorization server refuses them, whatever this login session met", async () => {
    const issuer = anIssuer();
    (await issuer.gate.enter("user", 0).entered).leave({ kind: "client_broken" });
    expect(acquireError(record, issuer, { kind: "not_sent" }, 0).message).toContain("clientId and clientSecret");
  });

  it("says when to try again: after the longer of the two waits, in whole seconds", () => {
    const retryAfter = (waitMs: number, retryAfterSeconds?: number): unknown =>
      acquireError(record, anIssuer(), { kind: "not_sent", retryAfterSeconds }, waitMs).retryAfterSeconds;
    expect(retryAfter(4_001)).toBe(5);
    expect(retryAfter(4_000, 30)).toBe(30);
    expect(retryAfter(40_000, 30)).toBe(40);
    expect(retryAfter(-5_000)).toBe(1);
    expect(acquireError(record, anIssuer(), undefined, 2_500).retryAfterSeconds).toBe(3);
  });

  it.each(["invalid_scope", "invalid_target"])("because of %s needs another grant, and trying again does not help", (errorCode) => {
    const error = acquireError(record, anIssuer(), { kind: "refused", errorCode }, 0);
    expect(error).toMatchObject({ code: "insufficient_scope", retryable: false, details: { login: record.handle } });
    expect(insufficientScopeError(record, anIssuer())).toMatchObject({ code: "insufficient_scope", details: { login: record.handle } });
  });
});
