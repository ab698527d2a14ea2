import { describe, expect, it } from "vitest";
import type { LoginSessionState } from "../../src/session/login-session.ts";
import { Issuers } from "../../src/token/issuers.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { makeBench } from "../support/token-bench.ts";

describe("the authorization servers of the configuration", () => {
  it("are known by their names; one that was taken out of the configuration is missed with a word on what to do", () => {
    const { issuers } = makeBench().one.core;
    expect(issuers.mustGet("main")).toMatchObject({
      policy: { name: "main" },
      introspectionTrusted: false,
      introspectionProbedAt: undefined,
      learntRefreshLifetimeSeconds: undefined,
    });
    expect(() => issuers.mustGet("gone")).toThrow(expect.objectContaining({ code: "configuration_invalid" }));
    expect(() => issuers.mustGet("gone")).toThrow(/"gone"/);
  });

  it("say in the audit when they refuse this client, and when they accept it again (F16)", async () => {
    const { one, server } = makeBench();
    const { gate } = one.core.issuers.mustGet("main");
    (await gate.enter("user", 0).entered).leave({ kind: "client_broken" });
    gate.reopen();
    expect(one.events).toEqual([
      { event: "issuer_paused", issuer: server.issuer },
      { event: "issuer_resumed", issuer: server.issuer },
    ]);
  });

  it("let nobody in any more when the process ends (F30)", async () => {
    const { issuers } = makeBench().one.core;
    issuers.shutDown();
    await expect(issuers.mustGet("main").gate.enter("user", 0).entered).rejects.toMatchObject({
      code: "authorization_server_unavailable",
    });
  });

  it("are trusted with introspection once they were seen to answer it, here or by the record's own history", () => {
    const { issuers } = makeBench().one.core;
    const record = aLoginSession("a");
    expect(issuers.trustsIntrospection(record)).toBe(false);
    expect(issuers.trustsIntrospection({ ...record, observed: { ...record.observed, introspection: "trusted" } })).toBe(true);
    issuers.mustGet("main").introspectionTrusted = true;
    expect(issuers.trustsIntrospection(record)).toBe(true);
  });

  it("are known to answer again when any replica has refreshed a login session there since the trouble (I13)", async () => {
    const { clock, one } = makeBench();
    const { issuers } = one.core;
    const { gate } = issuers.mustGet("main");
    const refreshedAt = (lastRefreshAt: number | undefined, state: LoginSessionState = "live") =>
      inState(aLoginSession("a"), state, { health: { failures: 0, refusals: 0, lastRefreshAt } });
    expect(issuers.isAnyTroubled).toBe(false);
    (await gate.enter("user", 0).entered).leave({ kind: "sick" });
    expect(issuers.isAnyTroubled).toBe(true);
    const later = clock.now() + 1;
    issuers.noticeRefresh(refreshedAt(undefined));
    issuers.noticeRefresh(refreshedAt(later, "refreshing"));
    issuers.noticeRefresh({ ...refreshedAt(later), authorizationServer: "gone" });
    expect(gate.lastHealthyAt).toBeUndefined();
    expect(issuers.isAnyTroubled).toBe(true);
    issuers.noticeRefresh(refreshedAt(later));
    expect(gate.lastHealthyAt).toBe(later);
    expect(issuers.isAnyTroubled).toBe(false);
  });

  it("are troubled when one of several is", async () => {
    const { clock, one } = makeBench();
    const { policy } = one.core.issuers.mustGet("main");
    const audit = { record: () => {} };
    const options = { clock, audit, random: () => 0.5, concurrencyPerIssuer: 1 };
    const issuers = new Issuers([policy, { ...policy, name: "other" }], options);
    (await issuers.mustGet("other").gate.enter("user", 0).entered).leave({ kind: "sick" });
    expect(issuers.isAnyTroubled).toBe(true);
    expect(issuers.mustGet("main").gate.isTroubled).toBe(false);
  });
});
