import { describe, expect, test } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import { type Fields, parseFields } from "../support/e2e-json.ts";
import { eventually } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { FaultWorld } from "./fault-world.ts";
import { holds } from "./presentation-faults.ts";

const secret = "import-secret-of-the-backend-0123456789";
const hour = 3600;

interface ImportAnswer {
  readonly status: number;
  readonly json: Fields;
}

function start(atEnd: AtEnd): Promise<FaultWorld> {
  return FaultWorld.start(atEnd, { config: { import: { secret } } });
}

async function importInto({ latchkey }: FaultWorld, body: object, signal?: AbortSignal): Promise<ImportAnswer> {
  const response = await fetch(`${latchkey.publicUrl}/api/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  return { status: response.status, json: parseFields(await response.text()) };
}

function recordsOf({ latchkey, server }: FaultWorld, subject: string): Promise<readonly LoginSession[]> {
  return latchkey.core.store.loginSessions.listByUser(server.issuer, subject);
}

describe.concurrent("an import", () => {
  test("F47 that is retried after its 201 was lost: one login session, which the retry names, and one presentation", async ({
    onTestFinished,
  }) => {
    const world = await start(onTestFinished);
    const tokens = await world.handedOver("alice");
    world.server.set(holds(world.hold, "reply"), { next: 1 });
    const connection = new AbortController();
    const lost = importInto(world, tokens, connection.signal).catch(() => "lost");
    await eventually("it is presented", () => world.hold.size === 1);
    connection.abort();
    expect(await lost).toBe("lost");
    world.hold.open();
    const [record] = await eventually("the login session is there", async () => {
      const records = await recordsOf(world, "alice");
      return records.length > 0 ? records : undefined;
    });
    expect(record).toMatchObject({ state: "live" });
    expect(await importInto(world, tokens)).toMatchObject({ status: 409, json: { code: "conflict", login: record?.handle } });
    expect(await recordsOf(world, "alice")).toHaveLength(1);
    expect(world.count("presented")).toBe(1);
    expect(world.count("reuse")).toBe(0);
    expect(world.isCurrent(record?.refreshToken)).toBe(true);
  });

  test("F47 with an ID token that expired within the day: accepted, since the refresh works", async ({ onTestFinished }) => {
    const world = await start(onTestFinished);
    world.server.set({ kind: "clock_skew", seconds: -23 * hour, shows: "id_token" }, { target: "code" });
    const answer = await importInto(world, await world.handedOver("alice"));
    expect(answer).toMatchObject({ status: 201, json: { subject: "alice", state: "live" } });
  });

  test("F47 with another user's refresh token: refused, nothing is made, and what came back is revoked", async ({ onTestFinished }) => {
    const world = await start(onTestFinished);
    const [alice, bob] = [await world.handedOver("alice"), await world.handedOver("bob")];
    const answer = await importInto(world, { id_token: alice.id_token, refresh_token: bob.refresh_token });
    expect(answer).toMatchObject({ status: 400, json: { code: "invalid_request" } });
    for (const name of ["alice", "bob"]) expect(await recordsOf(world, name)).toEqual([]);
    await eventually("it is revoked", () => world.count("revoked", "bob") > 0);
    expect(world.count("revoked", "alice")).toBe(0);
    expect(world.isCurrent(String(alice.refresh_token))).toBe(true);
  });

  test("F47 of a consumed refresh token: 409, and of the current one: 200, both with the handle; none is presented", async ({
    onTestFinished,
  }) => {
    const world = await start(onTestFinished);
    const tokens = await world.handedOver("alice");
    const { json } = await importInto(world, tokens);
    const [made] = await recordsOf(world, "alice");
    const user = await world.admit(made?.id, "alice");
    await world.until("it is refreshed twice", () => user.record().generation === 3 && user.record().state === "live", 90);
    const presented = world.count("presented");
    expect(await importInto(world, tokens)).toMatchObject({ status: 409, json: { code: "conflict", login: json.id } });
    expect(await importInto(world, { ...tokens, refresh_token: user.record().refreshToken })).toMatchObject({
      status: 200,
      json: { id: json.id },
    });
    expect(world.count("presented")).toBe(presented);
    expect(world.count("reuse")).toBe(0);
    expect(await recordsOf(world, "alice")).toHaveLength(1);
  });
});
