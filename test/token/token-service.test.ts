import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import type { AccessTokenEntry } from "../../src/session/login-session.ts";
import type { AcquireOptions } from "../../src/token/token-service.ts";
import { settle } from "../support/manual-clock.ts";
import type { ModelOptions } from "../support/model-authorization-server.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

const target = { scopes: [] };

/** A login session whose access token of 30 s is `ageMs` old; requests are held while `requests.on`. */
async function aged(ageMs: number, model: Partial<ModelOptions> = {}) {
  const requests = new Hold();
  requests.on = false;
  const bench = makeBench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()), ...model });
  const { login, record } = await bench.signIn();
  const old = login.current().accessTokens[0]?.accessToken;
  await bench.clock.advance(ageMs);
  const said: (AccessTokenEntry | LatchkeyError)[] = [];
  const call = (options: AcquireOptions = {}): void => {
    Promise.resolve()
      .then(() => bench.one.tokens.acquire(login, target, options))
      .then(
        (entry) => void said.push(entry),
        (error: unknown) => {
          if (error instanceof LatchkeyError) said.push(error);
        },
      );
  };
  return { ...bench, requests, login, record, old, said, call };
}

describe("how long a caller waits for a refresh (S6)", () => {
  it.each([
    ["its budget is the time of one presentation", 31_000, {}, {}, 7_500],
    ["its budget is eight seconds where a presentation may take longer", 301_000, { accessTokenSeconds: 300 }, {}, 8_000],
    ["its budget is what it says", 31_000, {}, { budgetMs: 1_000 }, 1_000],
    ["a token that would end on the way does not count", 28_750, {}, {}, 7_500],
  ] as const)("%s", async (_what, age, model, options, waits) => {
    const { clock, requests, said, call } = await aged(age, model);
    requests.on = true;
    call(options);
    await clock.advance(waits - 1);
    expect(said).toEqual([]);
    await clock.advance(1);
    expect(said).toMatchObject([{ code: "refresh_timeout", retryable: true, retryAfterSeconds: 2 }]);
  });

  it.each([
    ["to the last moment of the token that it has", {}, 3_750],
    ["to the last moment that the token is valid for as long as it needs", { minimumValiditySeconds: 2 }, 1_750],
    ["no longer than its budget", { budgetMs: 1_000 }, 1_000],
  ] as const)("%s, and then takes that", async (_what, options, waits) => {
    const { clock, requests, said, call, old } = await aged(25_000);
    requests.on = true;
    call(options);
    await clock.advance(waits - 1);
    expect(said).toEqual([]);
    await clock.advance(1);
    expect(said).toMatchObject([{ accessToken: old }]);
  });

  it("not at all once it has gone away, before or while it waits, and it leaves nothing behind", async () => {
    const { clock, server, requests, said, call, one } = await aged(31_000);
    requests.on = true;
    const gone = AbortSignal.abort();
    call({ signal: gone });
    await settle();
    expect(said).toMatchObject([{ code: "cancelled" }]);
    expect(server.presentations).toHaveLength(0);
    const stop = new AbortController();
    call({ signal: stop.signal });
    await settle();
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    stop.abort();
    await settle();
    expect(said).toMatchObject([{ code: "cancelled" }, { code: "cancelled" }]);
    const patient = new AbortController();
    call({ signal: patient.signal });
    await settle();
    requests.open();
    await settle();
    expect(said[2]).toMatchObject({ accessToken: expect.any(String) });
    expect(getEventListeners(patient.signal, "abort")).toHaveLength(0);
    expect(clock.pending).toBe(0);
    expect(one.flights.size).toBe(0);
  });

  it("not at all in front of an authorization server that is known to be down", async () => {
    const { clock, server, said, call } = await aged(31_000);
    server.outage = { kind: "not_sent", cause: new Error("down") };
    call();
    await settle();
    call();
    await settle();
    expect(server.presentations).toHaveLength(1);
    expect(said).toMatchObject([
      { code: "authorization_server_unavailable", retryable: true },
      { code: "authorization_server_unavailable", retryable: true, retryAfterSeconds: 1 },
    ]);
    await clock.advance(200);
    call();
    await settle();
    expect(server.presentations).toHaveLength(2);
  });

  it("and takes the token that it has when the refresh fails, or nobody may be asked now", async () => {
    const { server, said, call, old } = await aged(25_000);
    server.outage = { kind: "server_error", retryAfterSeconds: 2, cause: new Error("503") };
    call();
    await settle();
    call();
    await settle();
    expect(said).toMatchObject([{ accessToken: old }, { accessToken: old }]);
    expect(server.presentations).toHaveLength(1);
  });
});

describe("an access token that is handed out (I6)", () => {
  it("is the one that is there, up to its margin, and a newer one from then on", async () => {
    const before = await aged(23_999);
    before.call();
    await settle();
    expect(before.said).toMatchObject([{ accessToken: before.old }]);
    expect(before.server.presentations).toHaveLength(0);
    const after = await aged(24_000);
    after.call();
    await settle();
    expect(after.said).not.toMatchObject([{ accessToken: after.old }]);
    expect(after.server.presentations).toHaveLength(1);
  });

  it("is valid for longer than was asked for, or there is none that could be", async () => {
    const short = await aged(1_000);
    short.call({ minimumValiditySeconds: 29 });
    await settle();
    expect(short.said).toMatchObject([{ code: "invalid_request", message: expect.stringContaining("live 30 s") }]);
    const enough = await aged(999);
    enough.call({ minimumValiditySeconds: 29 });
    await settle();
    expect(enough.said).toMatchObject([{ accessToken: enough.old }]);
    const older = await aged(8_000);
    older.call({ minimumValiditySeconds: 25 });
    await settle();
    expect(older.said).toMatchObject([{ expiresAt: older.clock.now() + 30_000 }]);
  });

  it("is the same again when the API refuses a young one: another would be refused as well (I14)", async () => {
    const young = await aged(7_499);
    young.call({ rejected: young.old });
    await settle();
    expect(young.said).toMatchObject([{ accessToken: young.old }]);
    const grown = await aged(7_500);
    grown.call({ rejected: grown.old });
    await settle();
    expect(grown.server.presentations).toHaveLength(1);
    expect(grown.said).not.toMatchObject([{ accessToken: grown.old }]);
  });

  it("is the newer one that is there already when the API refused an older one", async () => {
    const { said, call, old, server } = await aged(12_000);
    call({ rejected: "at-older" });
    await settle();
    expect(said).toMatchObject([{ accessToken: old }]);
    expect(server.presentations).toHaveLength(0);
  });

  it("is none when the one that the API refused cannot be replaced", async () => {
    const { said, call, old, server } = await aged(12_000);
    server.outage = { kind: "not_sent", cause: new Error("down") };
    call({ rejected: old });
    await settle();
    expect(said).toMatchObject([{ code: "authorization_server_unavailable" }]);
  });
});

describe("a login session that serves nothing", () => {
  it.each([
    ["logout", "login_ended"],
    ["grant_dead", "login_required"],
  ] as const)("says so before and while somebody waits: %s", async (how, code) => {
    const { one, record, requests, said, call, server } = await aged(31_000);
    if (how === "grant_dead") server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause: new Error("dead") } });
    requests.on = true;
    call();
    await settle();
    if (how === "logout") await one.logout.end(record.id, "logout");
    requests.open();
    await settle();
    call();
    await settle();
    expect(said).toMatchObject([{ code }, { code }]);
    expect(server.presentations).toHaveLength(1);
  });
});

it("counts each call as a use of the login session", async () => {
  const { one, call, record, clock } = await aged(5_000);
  call();
  await settle();
  expect(one.core.sessions.lastUseOf(record)).toBe(clock.now());
});
