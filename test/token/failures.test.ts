import { describe, expect, it } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench, type TokenBench, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");
const anything = { scopes: [] };

/** What keeps a login session, whatever state it is in. */
const harmless: readonly RefreshOutcome[] = [
  { kind: "not_sent", cause },
  { kind: "server_error", cause },
  { kind: "refused", cause },
  { kind: "client_broken", cause },
];

/** A login session of 300 s tokens whose last reply is lost, at a server that forgives a second presentation for 10 minutes. */
async function uncertainLogin(): Promise<TokenBench & Awaited<ReturnType<TokenBench["signIn"]>>> {
  const bench = makeBench(
    { accessTokenSeconds: 300, graceMs: 600_000 },
    { authorizationServer: { reuseLeewaySeconds: 600 }, random: () => 1 },
  );
  const signedIn = await bench.signIn();
  await bench.clock.advance(250_000);
  bench.server.faults.push({ kind: "lose_reply" });
  await tryAcquire(bench.one, signedIn.login);
  expect(signedIn.login.current()).toMatchObject({ state: "uncertain", attempts: [{ lost: true }] });
  return { ...bench, ...signedIn };
}

function accessTokenOf(record: LoginSession): string | undefined {
  return record.accessTokens[0]?.accessToken;
}

describe("a failed refresh of a live login session", () => {
  it.each(harmless)(
    "$kind: serves the access token to its end, settles the attempt and comes back by itself (I10, F6)",
    async (outcome) => {
      const { clock, one, server, history, signIn } = makeBench();
      const { login } = await signIn();
      const old = accessTokenOf(login.current());
      await clock.advance(25_000);
      server.outage = outcome;
      expect(await tryAcquire(one, login)).toMatchObject({ accessToken: old });
      expect(login.current()).toMatchObject({
        state: "live",
        attempts: [],
        generation: 1,
        health: { failures: 1, lastFailure: { kind: outcome.kind } },
      });
      expect(login.current().nextDueAt).toBeGreaterThan(clock.now());
      await clock.advance(5_000);
      const error = await tryAcquire(one, login);
      expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
      expect(error).toMatchObject({ retryAfterSeconds: expect.any(Number) });
      server.outage = undefined;
      await clock.advance(60_000);
      expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.not.stringMatching(String(old)) });
      expect(login.current()).toMatchObject({ state: "live", generation: 2, health: { failures: 0, refusals: 0 } });
      expect(history.check()).toEqual([]);
    },
  );

  it("backs off between tries instead of asking at every call (I13)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    await clock.advance(31_000);
    server.outage = { kind: "not_sent", cause };
    for (let call = 0; call < 600; call += 1) {
      expect(await tryAcquire(one, login)).toMatchObject({ code: "authorization_server_unavailable" });
      await clock.advance(100);
    }
    // One minute: the first five follow their own backoff, then the breaker lets one in some seconds through.
    expect(server.presentations.length).toBeLessThan(40);
    expect(server.presentations.length).toBeGreaterThan(5);
  });

  it("Retry-After that comes while another login session asks introspection first: that one waits as well (I13)", async () => {
    const introspections = new Hold();
    introspections.on = false;
    const { clock, one, server, signIn } = makeBench({
      introspection: "works",
      pauseOther: (point) => (point === "introspect" ? introspections.wait() : Promise.resolve()),
    });
    const { login } = await signIn();
    const { login: other } = await signIn("bob");
    await clock.advance(31_000);
    one.core.issuers.mustGet("main").introspectionTrusted = true;
    server.faults.push({ kind: "answer", outcome: { kind: "server_error", cause } });
    await tryAcquire(one, login);
    await clock.advance(10_000);
    introspections.on = true;
    const looking = tryAcquire(one, login);
    await settle();
    expect(introspections.size).toBe(1);
    server.faults.push({ kind: "answer", outcome: { kind: "server_error", retryAfterSeconds: 20, cause } });
    await tryAcquire(one, other);
    expect(server.presentations).toHaveLength(2);
    introspections.open();
    await clock.advance(19_900);
    expect(server.presentations).toHaveLength(2);
    await clock.advance(200);
    await looking;
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
  });

  it.each([
    { kind: "refused", retryAfterSeconds: 20, cause },
    { kind: "server_error", retryAfterSeconds: 20, cause },
    { kind: "not_sent", retryAfterSeconds: 20, cause },
  ] as const)("$kind with Retry-After: nobody asks before that, the caller is told, and the login is kept (F12, I13)", async (outcome) => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    const { login: other } = await signIn("bob");
    await clock.advance(31_000);
    server.faults.push({ kind: "answer", outcome });
    expect(await tryAcquire(one, login)).toMatchObject({ retryAfterSeconds: 20 });
    expect(await tryAcquire(one, other)).toMatchObject({ code: "authorization_server_unavailable", retryAfterSeconds: 20 });
    await clock.advance(19_900);
    await tryAcquire(one, login);
    expect(server.presentations).toHaveLength(1);
    await clock.advance(200);
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
  });

  it.each([
    { kind: "refused", retryAfterSeconds: 20, cause },
    { kind: "server_error", retryAfterSeconds: 20, cause },
    { kind: "not_sent", retryAfterSeconds: 20, cause },
  ] as const)("$kind with Retry-After holds for this login session in another replica as well (F12, I13)", async (outcome) => {
    const { clock, one, another, server, signIn } = makeBench();
    const { record, login } = await signIn();
    const two = another("replica-2");
    const there = await two.watch(record);
    await clock.advance(31_000);
    server.faults.push({ kind: "answer", outcome });
    await tryAcquire(one, login);
    two.heartbeat.start();
    await clock.advance(19_500);
    expect(await tryAcquire(two, there)).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
    expect(server.presentations).toHaveLength(1);
    await clock.advance(3_000);
    expect(server.presentations).toHaveLength(2);
    await two.heartbeat.stop();
  });

  it("honours Retry-After also when everybody is refused alike for long, which pauses the client (I13)", async () => {
    const { clock, one, server, signIn } = makeBench();
    await signIn("alice");
    await clock.advance(5_000);
    await signIn("bob");
    server.outage = { kind: "refused", retryAfterSeconds: 120, cause };
    one.heartbeat.start();
    await clock.advance(3_600_000);
    expect(one.core.issuers.mustGet("main").gate.paused).toBe(true);
    const gaps = server.presentations.slice(1).map((each, index) => each.startedAt - (server.presentations[index]?.startedAt ?? 0));
    expect(gaps.length).toBeGreaterThan(10);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(120_000);
    server.outage = undefined;
    const stopped = one.heartbeat.stop();
    await clock.advance(121_000);
    await stopped;
  });

  it("honours Retry-After although an older request succeeds after it was said (I13)", async () => {
    const held: (() => void)[] = [];
    const { clock, one, server, signIn } = makeBench({
      pause: (point, request) => {
        return point === "request" && request.target.resource === "slow"
          ? new Promise((resolve) => void held.push(resolve))
          : Promise.resolve();
      },
    });
    const { login: alice } = await signIn("alice");
    const { login: bob } = await signIn("bob");
    const { login: carol } = await signIn("carol");
    await clock.advance(31_000);
    const slow = Promise.resolve(one.tokens.acquire(alice, { resource: "slow", scopes: [] }));
    await settle();
    server.faults.push({ kind: "answer", outcome: { kind: "refused", retryAfterSeconds: 60, cause } });
    await tryAcquire(one, bob);
    held.splice(0).forEach((letGo) => {
      letGo();
    });
    await slow;
    const before = server.presentations.length;
    expect(await tryAcquire(one, carol)).toMatchObject({ code: "authorization_server_unavailable" });
    expect(server.presentations).toHaveLength(before);
  });

  it("refused early: serves the access token and asks again only near its end (F17)", async () => {
    const { clock, one, server, signIn, history } = makeBench({ accessTokenSeconds: 300 });
    const { record, login } = await signIn();
    server.faults.push({ kind: "answer", outcome: { kind: "refused", errorCode: "invalid_request", cause } });
    one.heartbeat.start();
    await clock.advance(200_000);
    expect(server.presentations).toHaveLength(1);
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: accessTokenOf(record) });
    expect(server.presentations).toHaveLength(1);
    // 300 s - 20 s attempt limit - 60 s margin.
    await clock.advance(18_000);
    expect(server.presentations).toHaveLength(1);
    await clock.advance(3_000);
    expect(server.presentations).toHaveLength(2);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });
});

describe("a refresh for scopes that the grant does not have", () => {
  const invalidScope: RefreshOutcome = { kind: "refused", errorCode: "invalid_scope", cause };

  it("is insufficient_scope for that caller and leaves the login session well", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    await clock.advance(8_000);
    server.faults.push({ kind: "answer", outcome: invalidScope });
    await expect(async () => one.tokens.acquire(login, { scopes: ["admin"] })).rejects.toMatchObject({
      code: "insufficient_scope",
      retryable: false,
    });
    expect(login.current()).toMatchObject({ state: "live", attempts: [], health: { failures: 0, refusals: 0 } });
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: accessTokenOf(login.current()) });
  });

  it("is insufficient_scope as well when the server grants less than was asked for, without asking in circles (I6, I14)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    for (let call = 0; call < 10; call += 1) {
      server.faults.push({ kind: "reply", fields: { scope: "openid" } });
      await expect(async () => one.tokens.acquire(login, { scopes: ["notes"] })).rejects.toMatchObject({ code: "insufficient_scope" });
      await clock.advance(500);
    }
    expect(server.presentations).toHaveLength(1);
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
  });

  it("does not bring the next background refresh forward each time (I14)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    one.heartbeat.start();
    let narrow = 0;
    for (let second = 0; second < 30; second += 1) {
      server.faults.push({ kind: "answer", outcome: invalidScope });
      narrow += 1;
      await expect(async () => one.tokens.acquire(login, { scopes: ["admin"] })).rejects.toMatchObject({ code: "insufficient_scope" });
      server.faults.length = 0;
      await clock.advance(1_000);
    }
    expect(server.presentations.length - narrow).toBeLessThanOrEqual(2);
    await one.heartbeat.stop();
  });

  it("backs off when the server says it of the login's own scopes: that is no caller's fault (I13)", async () => {
    const { clock, one, server, signIn } = makeBench({}, { authorizationServer: { defaultTarget: { scopes: ["openid", "notes"] } } });
    await signIn();
    server.outage = invalidScope;
    one.heartbeat.start();
    await clock.advance(600_000);
    expect(server.presentations.length).toBeLessThan(30);
    await one.heartbeat.stop();
  });
});

describe("lasting refusals", () => {
  const empty400: RefreshOutcome = { kind: "refused", cause };

  async function refusedFor(minutes: number, othersServed: boolean) {
    const bench = makeBench();
    const { clock, one, server, signIn } = bench;
    const { login: dead } = await signIn("alice");
    const { login: well } = await signIn("bob");
    const deadTokens = new Set([dead.current().refreshToken]);
    const refresh = server.refresh.bind(server);
    server.refresh = (request) => {
      if (!othersServed || deadTokens.has(request.refreshToken)) server.faults.push({ kind: "answer", outcome: empty400 });
      return refresh(request);
    };
    one.heartbeat.start();
    await clock.advance(minutes * 60_000);
    // What waits in front of a closed gate comes to its end only when time goes on.
    const stopped = one.heartbeat.stop();
    await clock.advance(61_000);
    await stopped;
    return { ...bench, dead, well };
  }

  it("end the login session that alone is refused, and no other (F42)", async () => {
    const { dead, well, history } = await refusedFor(13, true);
    expect(dead.current()).toMatchObject({ state: "login_required", reason: { code: "refused" } });
    expect(well.current()).toMatchObject({ state: "live" });
    expect(history.check()).toEqual([]);
  });

  it("end nothing before ten minutes have passed", async () => {
    const { dead } = await refusedFor(9, true);
    expect(dead.current()).toMatchObject({ state: "live" });
  });

  it("end nobody when all are refused alike, for an hour, and all come back (F42, I10)", async () => {
    const { dead, well, clock, one, server } = await refusedFor(60, false);
    expect(one.core.issuers.mustGet("main").gate.paused).toBe(true);
    expect(dead.current()).toMatchObject({ state: "live" });
    expect(well.current()).toMatchObject({ state: "live" });
    server.refresh = Object.getPrototypeOf(server).refresh.bind(server);
    server.faults.length = 0;
    await clock.advance(61_000);
    expect(await tryAcquire(one, dead)).toMatchObject({ accessToken: expect.any(String) });
    expect(await tryAcquire(one, well)).toMatchObject({ accessToken: expect.any(String) });
  });
});

describe("a refusal while the wall clock is set back (F25)", () => {
  it("does not put the next try off to the end of an access token that was born an hour ahead", async () => {
    const { clock, one, server, signIn } = makeBench();
    clock.jumpWall(3_600_000);
    const { login } = await signIn();
    clock.jumpWall(-3_600_000);
    server.faults.push({ kind: "answer", outcome: { kind: "refused", cause } });
    await tryAcquire(one, login);
    await clock.advance(10_000);
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
  });
});

describe("a dead grant", () => {
  it("needs a new sign-in, tells the watchers, and is never presented again (F14, R14)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { login } = await signIn();
    const told: string[] = [];
    one.core.sessions.onChange((next) => void told.push(next.state));
    server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
    one.heartbeat.start();
    await clock.advance(120_000);
    expect(login.current()).toMatchObject({ state: "login_required", reason: { code: "grant_dead" }, accessTokens: [], attempts: [] });
    expect(login.current().refreshToken).toBeUndefined();
    expect(told).toContain("login_required");
    expect(server.presentations).toHaveLength(1);
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_required", retryable: false, details: { reason: "grant_dead" } });
    expect(history.violations).toEqual([]);
    await one.heartbeat.stop();
  });

  it("counts for nothing when a peer has rotated: its token is adopted (I9, F15)", async () => {
    const { clock, one, server, another, signIn } = makeBench({ graceMs: 60_000 });
    const { record, login } = await signIn();
    const two = another("replica-2");
    await clock.advance(31_000);
    const refresh = server.refresh.bind(server);
    server.refresh = async () => {
      // Our process stands still (F11); meanwhile a peer takes over, and then our answer says that the grant is dead.
      server.refresh = refresh;
      await clock.advance(13_000);
      await tryAcquire(two, await two.watch(record));
      return { kind: "grant_dead", cause };
    };
    two.core.issuers.mustGet("main").introspectionTrusted = true;
    server.introspectionAnswer = { kind: "active" };
    const mine = tryAcquire(one, login, { budgetMs: 60_000 });
    await settle();
    expect(await mine).toMatchObject({ accessToken: expect.any(String) });
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
  });

  it("counts for nothing when the user has signed in again in the meantime (I9)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn();
    await clock.advance(31_000);
    const refresh = server.refresh.bind(server);
    server.refresh = async (request) => {
      server.refresh = refresh;
      await one.logins.repair(record.handle, server.signIn("alice"));
      expect(request.refreshToken).not.toBe(login.current().refreshToken);
      return { kind: "grant_dead", cause };
    };
    expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
    expect(login.current()).toMatchObject({ state: "live", epoch: 2 });
  });
});

describe("a failed presentation of an uncertain login session", () => {
  it.each([...harmless, { kind: "ambiguous", cause } as const])(
    "$kind: stays uncertain and is presented again with backoff (I10)",
    async (outcome) => {
      const { clock, one, server, login, history, record } = await uncertainLogin();
      server.faults.push({ kind: "answer", outcome });
      await clock.advance(20_000);
      await tryAcquire(one, login);
      expect(server.presentations).toHaveLength(2);
      expect(login.current()).toMatchObject({ state: "uncertain", generation: 1 });
      expect(login.current().attempts.every((attempt) => attempt.lost)).toBe(true);
      await tryAcquire(one, login);
      expect(server.presentations).toHaveLength(2);
      await clock.advance(61_000);
      await tryAcquire(one, login);
      expect(login.current()).toMatchObject({ state: "live", generation: 2 });
      expect(history.reasonsOf(record.id)).toEqual(["demand", "within_grace", "within_grace"]);
      expect(history.check()).toEqual([]);
    },
  );

  it("grant_dead: the reply is lost for good (I9)", async () => {
    const { clock, one, server, login } = await uncertainLogin();
    server.faults.push({ kind: "answer", outcome: { kind: "grant_dead", cause } });
    await clock.advance(20_000);
    expect(await tryAcquire(one, login)).toMatchObject({ code: "login_required", details: { reason: "lost_reply" } });
  });
});

describe("a client that is refused as such", () => {
  it("pauses the issuer, rings the alarm once, probes, keeps every login session, and goes on by itself (F16, I10, I13)", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const logins = [];
    for (let user = 0; user < 20; user += 1) logins.push((await signIn(`user${"abcdefghijklmnopqrst"[user]}`)).login);
    server.outage = { kind: "client_broken", cause };
    one.heartbeat.start();
    await clock.advance(30_000);
    expect(one.core.issuers.mustGet("main").gate.paused).toBe(true);
    const atPause = server.presentations.length;
    // Twenty were under way at most before the pause; then one probe at a time.
    expect(atPause).toBeLessThanOrEqual(20);
    await clock.advance(30 * 60_000);
    const probes = server.presentations.length - atPause;
    // At least one in five minutes, and no storm.
    expect(probes).toBeGreaterThanOrEqual(6);
    expect(probes).toBeLessThanOrEqual(120);
    expect(one.events.filter((each) => each.event === "issuer_paused")).toHaveLength(1);
    for (const login of logins) expect(login.current()).toMatchObject({ state: "live" });
    const [first] = logins;
    if (first !== undefined) {
      const error = await tryAcquire(one, first);
      expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true });
      expect(String(error)).toMatch(/clientId and clientSecret/);
    }
    server.outage = undefined;
    await clock.advance(90_000);
    expect(one.events.filter((each) => each.event === "issuer_resumed")).toHaveLength(1);
    for (const login of logins) expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });
});

describe("an outage", () => {
  it.each([
    { seconds: 60, users: 50, outcome: { kind: "not_sent", cause } },
    { seconds: 60, users: 50, outcome: { kind: "server_error", cause } },
    { seconds: 600, users: 300, outcome: { kind: "not_sent", cause } },
    { seconds: 600, users: 300, outcome: { kind: "ambiguous", cause } },
  ] as const)(
    "of $seconds s with $users login sessions ($outcome.kind): bounded load, one probe at a time, all recover (F13, F27, I10, I13)",
    async ({ seconds, users, outcome }) => {
      const { clock, one, server, signIn, history } = makeBench({ accessTokenSeconds: 30 }, { concurrencyPerIssuer: 8 });
      const logins = [];
      for (let user = 0; user < users; user += 1) logins.push((await signIn("alice")).login);
      one.heartbeat.start();
      await clock.advance(10_000);
      server.outage = outcome;
      await clock.advance(seconds * 1000);
      // Eight at a time until five have failed; then one probe within half a second to five.
      expect(server.presentations.length).toBeLessThan(8 + 5 + seconds * 2);
      expect(server.presentations.length).toBeGreaterThan(seconds / 10);
      for (const login of logins) expect(["live", "uncertain"]).toContain(login.current().state);
      server.outage = undefined;
      await clock.advance(90_000);
      for (const login of logins) expect(await tryAcquire(one, login)).toMatchObject({ accessToken: expect.any(String) });
      for (const login of logins) expect(login.current()).toMatchObject({ state: "live" });
      expect(server.mostOpen).toBeLessThanOrEqual(8);
      expect(server.reuseEvents).toBe(0);
      expect(history.check()).toEqual([]);
      expect(history.checkSettled()).toEqual([]);
      await one.heartbeat.stop();
    },
  );

  it("shows when an unreachable login session is tried next (I15)", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { login } = await signIn();
    server.outage = { kind: "ambiguous", cause };
    one.heartbeat.start();
    for (let minute = 0; minute < 5; minute += 1) {
      await clock.advance(60_000);
      expect(login.current().nextDueAt).toBeGreaterThan(clock.now() - 6_000);
    }
    await one.heartbeat.stop();
  });

  it("does not make the record grow with every try", async () => {
    const { clock, one, server, signIn } = makeBench({}, { random: () => 0 });
    const { login } = await signIn();
    server.outage = { kind: "ambiguous", cause };
    one.heartbeat.start();
    await clock.advance(30 * 60_000);
    expect(server.presentations.length).toBeGreaterThan(50);
    expect(login.current().attempts.length).toBeLessThanOrEqual(16);
    server.outage = undefined;
    await clock.advance(60_000);
    expect(login.current()).toMatchObject({ state: "live" });
    await one.heartbeat.stop();
  });
});

describe("the gate of an issuer", () => {
  it("lets a waiting user in before the heartbeat, and the soonest expiry first", async () => {
    const order: string[] = [];
    const held: (() => void)[] = [];
    const { clock, one, server, signIn } = makeBench(
      {
        pause: (point) => (point === "request" ? new Promise((resolve) => void held.push(resolve)) : Promise.resolve()),
      },
      { concurrencyPerIssuer: 1 },
    );
    const refresh = server.refresh.bind(server);
    server.refresh = (request) => {
      const answer = refresh(request);
      order.push(server.presentations.at(-1)?.subject ?? "?");
      return answer;
    };
    const first = await signIn("first");
    const late = await signIn("beatlate");
    await clock.advance(1_000);
    const later = await signIn("beatlater");
    await clock.advance(1_000);
    const userLater = await signIn("userlater");
    const promoted = await signIn("promoted");
    await clock.advance(31_000);
    const all: Promise<unknown>[] = [tryAcquire(one, first.login)];
    await settle();
    all.push(
      one.maintenance.maintain(later.record.id),
      one.maintenance.maintain(late.record.id),
      one.maintenance.maintain(promoted.record.id),
    );
    await settle();
    all.push(tryAcquire(one, userLater.login), tryAcquire(one, promoted.login));
    await settle();
    for (let turn = 0; turn < 5; turn += 1) {
      expect(held).toHaveLength(1);
      held.shift()?.();
      await settle();
    }
    await Promise.all(all);
    expect(order).toEqual(["first", "promoted", "userlater", "beatlate", "beatlater"].map((each) => expect.stringMatching(each)));
  });

  it("is half open for a single probe, and opens when that succeeds (I13)", async () => {
    const held: (() => void)[] = [];
    let holding = false;
    const { clock, one, server, signIn } = makeBench(
      { pause: (point) => (holding && point === "request" ? new Promise((resolve) => void held.push(resolve)) : Promise.resolve()) },
      { concurrencyPerIssuer: 8 },
    );
    const logins = [];
    for (let user = 0; user < 10; user += 1) logins.push((await signIn("alice")).login);
    await clock.advance(31_000);
    server.outage = { kind: "not_sent", cause };
    for (const login of logins.slice(0, 5)) await tryAcquire(one, login);
    expect(server.presentations).toHaveLength(5);
    server.outage = undefined;
    holding = true;
    await clock.advance(6_000);
    const calls = logins.map((login) => tryAcquire(one, login));
    await settle();
    expect(held).toHaveLength(1);
    held.shift()?.();
    await settle();
    expect(held.length).toBe(8);
    holding = false;
    for (const letGo of held.splice(0)) letGo();
    await Promise.all(calls);
    for (const login of logins) expect(login.current()).toMatchObject({ generation: 2 });
  });

  it("keeps a user from waiting in front of a server that is known to be down", async () => {
    const { clock, one, server, signIn } = makeBench();
    const logins = [];
    for (let user = 0; user < 6; user += 1) logins.push((await signIn("alice")).login);
    await clock.advance(31_000);
    server.outage = { kind: "not_sent", cause };
    for (const login of logins.slice(0, 5)) await tryAcquire(one, login);
    const sixth = logins[5];
    const before = clock.monotonic();
    if (sixth !== undefined)
      expect(await tryAcquire(one, sixth, { budgetMs: 8_000 })).toMatchObject({ code: "authorization_server_unavailable" });
    expect(clock.monotonic()).toBe(before);
    expect(server.presentations).toHaveLength(5);
  });
});

it("gives a typed, retryable error while a server of 5 minute tokens takes 15 s, and uses its answer afterwards (F28)", async () => {
  const held: (() => void)[] = [];
  const { clock, one, signIn, history } = makeBench({
    accessTokenSeconds: 300,
    pause: (point) => (point === "request" ? new Promise((resolve) => void held.push(resolve)) : Promise.resolve()),
  });
  const { login } = await signIn();
  await clock.advance(301_000);
  const call = tryAcquire(one, login);
  await clock.advance(8_000);
  expect(await call).toMatchObject({ code: "refresh_timeout", retryable: true });
  await clock.advance(7_000);
  for (const letGo of held.splice(0)) letGo();
  await settle();
  expect(one.tokens.acquire(login, anything)).toMatchObject({ accessToken: expect.any(String) });
  expect(history.check({ healthy: true })).toEqual([]);
});
