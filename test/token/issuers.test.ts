import { describe, expect, it } from "vitest";
import { aLoginSession } from "../session/records.ts";
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
});
