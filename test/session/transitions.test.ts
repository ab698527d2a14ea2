import { describe, expect, it } from "vitest";
import type { LoginSession, LoginSessionHandle, LoginSessionId, LoginSessionState } from "../../src/session/login-session.ts";
import { assertTransition } from "../../src/session/transitions.ts";
import { aLoginSession, inState, openAttempt } from "./records.ts";

const states: readonly LoginSessionState[] = ["live", "refreshing", "uncertain", "login_required", "ended"];

/** The table of core section 1. A state may always follow itself: a settled field, a paid debt. */
const allowed: ReadonlySet<string> = new Set([
  "live live",
  "live refreshing",
  // The store was put back from a backup (F48).
  "live uncertain",
  "live login_required",
  "live ended",
  "refreshing refreshing",
  "refreshing live",
  "refreshing uncertain",
  "refreshing login_required",
  "refreshing ended",
  "uncertain uncertain",
  "uncertain refreshing",
  "uncertain live",
  "uncertain login_required",
  "uncertain ended",
  "login_required login_required",
  "login_required ended",
  "ended ended",
]);

const pairs = states.flatMap((from) => states.map((to) => ({ from, to, fits: allowed.has(`${from} ${to}`) })));

function inStart(state: LoginSessionState): LoginSession {
  return inState(aLoginSession("a"), state);
}

describe("the table of transitions (I11)", () => {
  it.each(pairs)("$from to $to: $fits", ({ from, to, fits }) => {
    const current = inStart(from);
    const change = (): void => assertTransition(current, inState(current, to));
    if (fits) expect(change).not.toThrow();
    else expect(change).toThrow(expect.objectContaining({ code: "internal_error" }));
  });

  it("leaves login_required for live by a new sign-in only", () => {
    const current = inStart("login_required");
    expect(() => assertTransition(current, inState(current, "live", { epoch: 2, generation: 2 }))).not.toThrow();
    expect(() => assertTransition(current, inState(current, "live", { epoch: 1, generation: 2 }))).toThrow();
    expect(() => assertTransition(current, inState(current, "live", { epoch: 3, generation: 2 }))).toThrow();
  });

  it("leaves login_required(lost_reply) for live by the answer that was lost as well, and by no other of this epoch", () => {
    const current = { ...inStart("login_required"), reason: { code: "lost_reply" as const, at: 2_000 } };
    expect(() => assertTransition(current, inState(current, "live", { generation: 2 }))).not.toThrow();
    expect(() => assertTransition(current, inState(current, "live"))).toThrow();
    expect(() => assertTransition(current, inState(current, "refreshing", { generation: 2 }))).toThrow();
    expect(() => assertTransition(current, inState(current, "live", { generation: 2, epoch: 3 }))).toThrow();
    for (const code of ["grant_dead", "refused", "identity", "idle", "absolute_limit"] as const) {
      const other = { ...current, reason: { code, at: 2_000 } };
      expect(() => assertTransition(other, inState(other, "live", { generation: 2 }))).toThrow();
    }
  });

  it("does not leave login_required for live when nobody knows why it is in it", () => {
    const current = { ...inStart("login_required"), reason: undefined };
    expect(() => assertTransition(current, inState(current, "live", { generation: 2 }))).toThrow(
      expect.objectContaining({ code: "internal_error" }),
    );
  });

  it("lets a new sign-in replace a live login session in place", () => {
    const current = inStart("live");
    expect(() => assertTransition(current, inState(current, "live", { epoch: 2, generation: 2 }))).not.toThrow();
  });

  it("never leaves ended, not even by a new sign-in", () => {
    const current = inStart("ended");
    for (const to of states.filter((state) => state !== "ended"))
      expect(() => assertTransition(current, inState(current, to, { epoch: 2, generation: 2 }))).toThrow();
  });
});

describe("a change that is no transition", () => {
  const current = inStart("live");
  const next = inState(current, "live");
  it.each<[string, LoginSession]>([
    ["skips a version (I3)", { ...next, version: current.version + 2 }],
    ["keeps its version (I3)", { ...next, version: current.version }],
    ["falls back a generation (I3)", inState(current, "refreshing", { generation: 0 })],
    ["falls back an epoch", { ...next, epoch: 0 }],
    ["grows a generation without a claim (I2)", { ...next, generation: 2 }],
    ["takes another id", { ...next, id: "other" as LoginSessionId }],
    ["takes another handle", { ...next, handle: "ls_other" as LoginSessionHandle }],
    ["takes another subject (I7)", { ...next, principal: { ...next.principal, subject: "bob" } }],
    ["takes another issuer (I7)", { ...next, principal: { ...next.principal, issuer: "https://other.example" } }],
    ["takes another client", { ...next, principal: { ...next.principal, clientId: "other" } }],
    ["ends with an access token", inState(current, "ended", { accessTokens: current.accessTokens })],
    ["ends with a refresh token", inState(current, "ended", { refreshToken: current.refreshToken })],
    ["ends without a reason", inState(current, "ended", { reason: undefined })],
    ["needs a sign-in and holds an access token", inState(current, "login_required", { accessTokens: current.accessTokens })],
    ["lives with a reason for being dead", { ...next, reason: { code: "logout", at: 1 } }],
    ["lives without a refresh token (I5)", { ...next, refreshToken: undefined }],
    ["lives without an access token (I5)", { ...next, accessTokens: [] }],
    ["refreshes without an attempt that is open (I2)", inState(current, "refreshing", { attempts: [] })],
    ["refreshes with an attempt that is lost already (I2)", inState(current, "refreshing", { attempts: [{ ...openAttempt, lost: true }] })],
  ])("%s: is refused", (_what, changed) => {
    expect(() => assertTransition(current, changed)).toThrow(expect.objectContaining({ code: "internal_error" }));
  });

  it.each(states)("lets no generation grow within a state: %s (I3)", (state) => {
    const before = inStart(state);
    expect(() => assertTransition(before, { ...inState(before, state), generation: 2 })).toThrow(
      expect.objectContaining({ code: "internal_error" }),
    );
  });

  it("names the login session by its handle only", () => {
    try {
      assertTransition(current, { ...next, version: 9 });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain(current.handle);
      expect(String(error)).not.toContain(current.id);
      expect(String(error)).not.toContain(String(current.refreshToken));
    }
  });
});
