import { beforeEach, describe, expect, test } from "vitest";
import { createProviderAdapter } from "../../src/demo/provider-adapter.ts";
import { ProviderRecords } from "../../src/demo/provider-records.ts";
import { ManualClock } from "../support/manual-clock.ts";

let clock: ManualClock;
let records: ProviderRecords;

beforeEach(() => {
  clock = new ManualClock();
  records = new ProviderRecords(clock, () => {});
  records.upsert("Grant", "g1", { accountId: "alice" }, 1);
  records.upsert("RefreshToken", "r1", { grantId: "g1", accountId: "alice", rotations: 0 }, 600);
});

describe("the adapter", () => {
  const model = (name: string) =>
    createProviderAdapter({ records, findClient: () => undefined, usedBefore: () => new Error("used before") })(name);

  test("lets exactly one of two requests that both saw the token unused consume it, and ends the family for the other", async () => {
    const tokens = model("RefreshToken");
    expect(await tokens.find("r1")).not.toHaveProperty("consumed");
    expect(await tokens.find("r1")).not.toHaveProperty("consumed");
    await tokens.consume("r1");
    await expect(tokens.consume("r1")).rejects.toThrow("used before");
    expect(records.takeEnded()).toEqual([expect.objectContaining({ grantId: "g1", user: "alice", generation: 1 })]);
    expect(await model("Grant").find("g1")).toBeUndefined();
  });

  test("refuses to consume what was revoked in between", async () => {
    await model("Grant").destroy("g1");
    await expect(model("RefreshToken").consume("r1")).rejects.toThrow("used before");
  });
});

describe("the records", () => {
  test("tell the end of a grant once, and only if tokens were issued for it", () => {
    records.upsert("Grant", "g2", { accountId: "bob" }, 1);
    records.endGrant("g2");
    records.endGrant("g1");
    records.endGrant("g1");
    expect(records.takeEnded()).toMatchObject([{ grantId: "g1" }]);
    expect(records.takeEnded()).toEqual([]);
  });

  test("know a used token again after its family is gone, until it would have expired", async () => {
    records.consume("RefreshToken", "r1");
    records.endGrant("g1");
    expect(records.find("RefreshToken", "r1")).toBeUndefined();
    expect(records.refreshToken("r1")).toMatchObject({ user: "alice", generation: 1, consumed: true });
    await clock.advance(600_000);
    records.snapshot();
    expect(records.refreshToken("r1")).toBeUndefined();
  });

  test("a token that a lost race still brings for an ended grant does not bring the grant back", () => {
    records.endGrant("g1");
    records.takeEnded();
    records.upsert("RefreshToken", "r2", { grantId: "g1", accountId: "alice", rotations: 1 }, 600);
    expect(records.find("Grant", "g1")).toBeUndefined();
    records.endGrant("g1");
    expect(records.takeEnded()).toEqual([]);
  });

  test("are copies: what a caller does to one changes nothing", () => {
    const found = records.find("RefreshToken", "r1");
    if (found !== undefined) found.accountId = "mallory";
    expect(records.find("RefreshToken", "r1")?.accountId).toBe("alice");
  });

  test("leave nothing behind when their time is over (I16)", async () => {
    for (let login = 0; login < 100; login++) {
      records.upsert("Grant", `g${login}`, { accountId: "alice" }, 1);
      records.upsert("RefreshToken", `r${login}`, { grantId: `g${login}`, accountId: "alice", rotations: 0 }, 600);
      records.upsert("Session", `s${login}`, { authorizations: { client: { sid: `sid${login}`, grantId: `g${login}` } } }, 1);
      if (login % 2 === 0) records.endGrant(`g${login}`);
    }
    expect(records.snapshot()).toHaveLength(150);
    await clock.advance(3_600_000);
    expect(records.snapshot()).toEqual([]);
    expect(records.refreshToken("r1")).toBeUndefined();
  });
});
