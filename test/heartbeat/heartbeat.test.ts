import { describe, expect, it } from "vitest";
import { Heartbeat, type HeartbeatOptions } from "../../src/heartbeat/heartbeat.ts";
import { silentLogger } from "../../src/logger.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { storeAway } from "../support/hooked-store.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

const hourMs = 3_600_000;

/** A heartbeat over a scripted queue: no login sessions, only ids. */
function scripted(options: Partial<HeartbeatOptions> = {}) {
  const clock = new ManualClock();
  const queue: LoginSessionId[] = [];
  const claims: number[] = [];
  const shifts: number[] = [];
  const work = new Hold();
  work.on = false;
  const maintained: LoginSessionId[] = [];
  const setBack: (boolean | undefined)[] = [];
  const heartbeat = new Heartbeat({
    clock,
    logger: silentLogger,
    intervalMs: 1_000,
    concurrency: 3,
    leaseMs: 30_000,
    store: {
      claimDue: async (_now, limit) => {
        claims.push(limit);
        return queue.splice(0, limit);
      },
      shiftDue: async (byMs) => void shifts.push(byMs),
    },
    maintenance: {
      maintain: async (id, clockSetBack) => {
        maintained.push(id);
        setBack.push(clockSetBack);
        await work.wait();
      },
    },
    ...options,
  });
  const ids = (count: number): void => {
    for (let each = 0; each < count; each += 1) queue.push(`id-${queue.length}-${maintained.length}` as LoginSessionId);
  };
  return { clock, queue, claims, shifts, work, maintained, setBack, heartbeat, ids };
}

/** A store whose claims are answered when `hold` is opened, and how many of them were under way at one time. */
function slowStore() {
  const hold = new Hold();
  const atOnce = { now: 0, most: 0 };
  const store: HeartbeatOptions["store"] = {
    claimDue: async () => {
      atOnce.now += 1;
      atOnce.most = Math.max(atOnce.most, atOnce.now);
      await hold.wait();
      atOnce.now -= 1;
      return [];
    },
    shiftDue: async () => {},
  };
  return { hold, atOnce, store };
}

describe("a beat", () => {
  it("claims no more than it can work on, and nothing while all hands are full", async () => {
    const { clock, claims, work, maintained, heartbeat, ids } = scripted();
    ids(10);
    work.on = true;
    heartbeat.start();
    await clock.advance(1_000);
    expect(claims).toEqual([3]);
    expect(heartbeat.working).toBe(3);
    await clock.advance(5_000);
    expect(claims).toEqual([3]);
    work.letOne();
    await clock.advance(1_000);
    expect(claims.slice(0, 2)).toEqual([3, 1]);
    expect(maintained).toHaveLength(4);
    work.open();
    await heartbeat.stop();
  });

  it("does not wait for the next look while more is due than it took (I14)", async () => {
    const { clock, maintained, heartbeat, ids } = scripted();
    ids(50);
    heartbeat.start();
    await clock.advance(1_000);
    expect(maintained).toHaveLength(50);
    await heartbeat.stop();
  });

  it("never overlaps the one before, however slow the store is (R11)", async () => {
    const { hold, atOnce, store } = slowStore();
    const { clock, heartbeat } = scripted({ store });
    heartbeat.start();
    heartbeat.start();
    await clock.advance(60_000);
    expect(atOnce.most).toBe(1);
    hold.open();
    await clock.advance(5_000);
    expect(atOnce.most).toBe(1);
    await heartbeat.stop();
  });

  it("never overlaps the one before when it was stopped and started again meanwhile (R11)", async () => {
    const { hold, atOnce, store } = slowStore();
    const { clock, heartbeat } = scripted({ store });
    heartbeat.start();
    await clock.advance(1_000);
    const stopped = heartbeat.stop();
    heartbeat.start();
    await clock.advance(5_000);
    expect(atOnce.most).toBe(1);
    hold.open();
    await stopped;
    await heartbeat.stop();
  });

  it("does not work on one login session twice at one time, though its lease ran out (R11)", async () => {
    const { clock, work, maintained, heartbeat, queue } = scripted();
    work.on = true;
    heartbeat.start();
    queue.push("same" as LoginSessionId);
    await clock.advance(1_000);
    queue.push("same" as LoginSessionId);
    await clock.advance(1_000);
    expect(maintained).toEqual(["same"]);
    work.open();
    await heartbeat.stop();
  });

  it("goes on after the store failed, and after work failed", async () => {
    let failures = 3;
    const { clock, heartbeat, maintained } = scripted({
      store: {
        claimDue: async () => {
          if (failures-- > 0) throw storeAway();
          return maintainedOnce();
        },
        shiftDue: async () => {},
      },
      maintenance: {
        maintain: async (id) => {
          maintained.push(id);
          throw new Error("work failed");
        },
      },
    });
    let given = 0;
    function maintainedOnce(): LoginSessionId[] {
      given += 1;
      return given <= 2 ? [`id-${given}` as LoginSessionId] : [];
    }
    heartbeat.start();
    await clock.advance(10_000);
    expect(maintained).toEqual(["id-1", "id-2"]);
    expect(heartbeat.working).toBe(0);
    await heartbeat.stop();
  });

  describe("when the store fails after a full claim, though there was more", () => {
    /** The first look takes all it can; from then on the store is away. */
    function failing(work: Hold) {
      const looks = { count: 0 };
      const { clock, heartbeat } = scripted({
        store: {
          claimDue: async (_now, limit) => {
            looks.count += 1;
            if (looks.count === 1) return Array.from({ length: limit }, (_, each) => `id-${each}` as LoginSessionId);
            // Endless looks in one moment would never let the clock go on.
            if (looks.count > 20) return [];
            throw storeAway();
          },
          shiftDue: async () => {},
        },
        maintenance: { maintain: () => work.wait() },
      });
      return { clock, heartbeat, looks };
    }

    it("waits before it looks again (I13)", async () => {
      const work = new Hold();
      work.on = false;
      const { clock, heartbeat, looks } = failing(work);
      heartbeat.start();
      await clock.advance(1_000);
      expect(looks.count).toBe(2);
      await clock.advance(3_000);
      expect(looks.count).toBe(5);
      await heartbeat.stop();
    });

    it("waits as long when work ends meanwhile (I13)", async () => {
      const work = new Hold();
      const { clock, heartbeat, looks } = failing(work);
      heartbeat.start();
      await clock.advance(1_000);
      for (let each = 0; each < 2; each += 1) {
        work.letOne();
        await settle();
        await clock.advance(0);
        expect(looks.count).toBe(2);
      }
      work.open();
      await heartbeat.stop();
    });
  });

  it("looks once in each interval when there is nothing to do, also when it was started twice", async () => {
    const { clock, claims, heartbeat } = scripted();
    heartbeat.start();
    await clock.advance(600);
    heartbeat.start();
    await clock.advance(400);
    expect(claims).toEqual([3]);
    await clock.advance(4_000);
    expect(claims).toEqual([3, 3, 3, 3, 3]);
    await heartbeat.stop();
  });

  it("looks again at once after a full claim, though nothing of it is to be worked on (I14)", async () => {
    const same = "same" as LoginSessionId;
    let claims = 0;
    const work = new Hold();
    const { clock, heartbeat } = scripted({
      concurrency: 2,
      store: {
        claimDue: async (_now, limit) => {
          claims += 1;
          // The second claim gives again what is worked on already: its lease ran out.
          return claims <= 2 ? [same].slice(0, limit) : [];
        },
        shiftDue: async () => {},
      },
      maintenance: { maintain: () => work.wait() },
    });
    heartbeat.start();
    await clock.advance(1_000);
    expect(claims).toBe(1);
    await clock.advance(1_000);
    expect(claims).toBe(3);
    work.open();
    await heartbeat.stop();
  });

  it("holds one timer and no more, and none after it stopped", async () => {
    const { clock, heartbeat } = scripted();
    heartbeat.start();
    for (let second = 0; second < 5; second += 1) {
      await clock.advance(1_000);
      expect(clock.pending).toBe(1);
    }
    await heartbeat.stop();
    expect(clock.pending).toBe(0);
  });
});

describe("stopping", () => {
  it("what was never started is no work", async () => {
    const { clock, heartbeat } = scripted();
    await heartbeat.stop();
    expect(clock.pending).toBe(0);
  });

  it("leaves no timer behind when a look or work ends after it (F30)", async () => {
    const { clock, work, heartbeat, ids, claims } = scripted();
    ids(4);
    work.on = true;
    heartbeat.start();
    await clock.advance(1_000);
    const stopping = heartbeat.stop();
    work.open();
    await stopping;
    await settle();
    expect(clock.pending).toBe(0);
    await clock.advance(5_000);
    expect(claims).toEqual([3]);
  });

  it("waits for what is worked on, and claims nothing more (F30)", async () => {
    const { clock, claims, work, heartbeat, ids } = scripted();
    ids(2);
    work.on = true;
    heartbeat.start();
    await clock.advance(1_000);
    let stopped = false;
    const stopping = Promise.all([heartbeat.stop(), heartbeat.stop()]).then(() => {
      stopped = true;
    });
    await clock.advance(5_000);
    expect(stopped).toBe(false);
    work.letOne();
    await settle();
    expect(stopped).toBe(false);
    work.letOne();
    await stopping;
    expect(claims).toHaveLength(1);
  });

  it("waits for a claim that is under way", async () => {
    const claim = new Hold();
    const { clock, heartbeat, maintained } = scripted({
      store: {
        claimDue: async () => {
          await claim.wait();
          return ["late" as LoginSessionId];
        },
        shiftDue: async () => {},
      },
    });
    heartbeat.start();
    await clock.advance(1_000);
    let stopped = false;
    const stopping = heartbeat.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    claim.open();
    await stopping;
    expect(maintained).toEqual([]);
    expect(heartbeat.working).toBe(0);
  });

  it("drains a refresh that is under way, whose tokens are committed (F30)", async () => {
    const requests = new Hold();
    const { clock, one, signIn, history } = makeBench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) });
    const { login } = await signIn();
    one.heartbeat.start();
    await clock.advance(20_500);
    expect(login.current().state).toBe("refreshing");
    const drained = Promise.all([one.heartbeat.stop(), one.maintenance.drain(10_000)]);
    await clock.advance(2_000);
    requests.open();
    await drained;
    expect(login.current()).toMatchObject({ state: "live", generation: 2 });
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("does not drain longer than it was told (F30)", async () => {
    const requests = new Hold();
    const { clock, one, signIn } = makeBench({ pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) });
    const { login } = await signIn();
    one.heartbeat.start();
    await clock.advance(20_500);
    let drained = false;
    const draining = one.maintenance.drain(5_000).then(() => {
      drained = true;
    });
    await clock.advance(4_900);
    expect(drained).toBe(false);
    await clock.advance(200);
    await draining;
    expect(login.current().state).toBe("refreshing");
  });

  it("can be started again", async () => {
    const { clock, heartbeat, maintained, ids } = scripted();
    heartbeat.start();
    await heartbeat.stop();
    ids(1);
    await clock.advance(5_000);
    expect(maintained).toHaveLength(0);
    heartbeat.start();
    await clock.advance(1_000);
    expect(maintained).toHaveLength(1);
    await heartbeat.stop();
  });
});

describe("login sessions that changed while they were queued (R4)", () => {
  it("are never refreshed once they have ended", async () => {
    const { clock, one, server, signIn, history } = makeBench();
    const { record } = await signIn();
    await clock.advance(25_000);
    expect(await one.core.sessions.get(record.id)).toMatchObject({ state: "live" });
    await one.logout.end(record.id, "logout");
    history.logoutAnswered(record.id);
    await one.maintenance.maintain(record.id);
    one.heartbeat.start();
    await clock.advance(120_000);
    expect(server.presentations).toHaveLength(0);
    expect(history.check()).toEqual([]);
    await one.heartbeat.stop();
  });

  it("are never refreshed once they have ended while they waited at the issuer's gate", async () => {
    const requests = new Hold();
    const { clock, one, server, signIn, history } = makeBench(
      { pause: (point) => (point === "request" ? requests.wait() : Promise.resolve()) },
      { concurrencyPerIssuer: 1 },
    );
    const first = await signIn("alice");
    const second = await signIn("bob");
    await clock.advance(25_000);
    const beats = [one.maintenance.maintain(first.record.id), one.maintenance.maintain(second.record.id)];
    await settle();
    expect(server.presentations).toHaveLength(1);
    await one.logout.end(second.record.id, "logout");
    history.logoutAnswered(second.record.id);
    requests.open();
    await Promise.all(beats);
    expect(server.presentations.map((each) => each.subject)).toEqual(["alice"]);
    expect(history.check({ healthy: true })).toEqual([]);
  });

  it("are left alone when they were refreshed or removed in the meantime", async () => {
    const { clock, one, server, signIn } = makeBench();
    const { record, login } = await signIn();
    await clock.advance(25_000);
    await one.tokens.acquire(login, { scopes: [] });
    await one.maintenance.maintain(record.id);
    expect(server.presentations).toHaveLength(1);
    await one.maintenance.maintain("gone" as LoginSessionId);
    expect(server.presentations).toHaveLength(1);
  });
});

describe("a wall clock that jumps (F25)", () => {
  it("forward by an hour: what became due is refreshed once, so many at a time as always", async () => {
    const { clock, one, server, signIn, history } = makeBench({}, { concurrencyPerIssuer: 4 });
    for (let each = 0; each < 40; each += 1) await signIn("alice");
    one.heartbeat.start();
    await clock.advance(5_000);
    clock.jumpWall(hourMs);
    await clock.advance(5_000);
    expect(server.presentations).toHaveLength(40);
    expect(server.mostOpen).toBeLessThanOrEqual(4);
    expect(history.check({ healthy: true })).toEqual([]);
    await one.heartbeat.stop();
  });

  it("forward by eight hours of sleep: one refresh each, no storm", async () => {
    const { clock, one, server, signIn } = makeBench();
    for (let each = 0; each < 20; each += 1) await signIn("alice");
    one.heartbeat.start();
    await clock.advance(1_000);
    clock.jumpWall(8 * hourMs);
    await clock.advance(10_000);
    expect(server.presentations).toHaveLength(20);
    await one.heartbeat.stop();
  });

  it("back by an hour: refreshes go on, none is hidden for an hour, none comes in a storm", async () => {
    const { clock, one, server, signIn } = makeBench();
    const logins = [];
    for (let each = 0; each < 20; each += 1) logins.push(await signIn("alice"));
    one.heartbeat.start();
    await clock.advance(5_000);
    clock.jumpWall(-hourMs);
    await clock.advance(120_000);
    // 120 s of 30 s tokens refreshed every 19.5 s: six or seven each.
    expect(server.presentations.length).toBeGreaterThanOrEqual(20 * 5);
    expect(server.presentations.length).toBeLessThanOrEqual(20 * 8);
    for (const { login } of logins) expect(login.current().state).toBe("live");
    await one.heartbeat.stop();
  });

  it("back by an hour, while the store is away: due times are moved once it is back, by the whole of it", async () => {
    let away = true;
    const shifts: number[] = [];
    const { clock, heartbeat } = scripted({
      store: {
        claimDue: async () => [],
        shiftDue: async (byMs) => {
          if (away) throw storeAway();
          shifts.push(byMs);
        },
      },
    });
    heartbeat.start();
    await clock.advance(2_000);
    clock.jumpWall(-hourMs);
    await clock.advance(5_000);
    clock.jumpWall(-60_000);
    await clock.advance(5_000);
    away = false;
    await clock.advance(5_000);
    expect(shifts).toEqual([-hourMs - 60_000]);
    await heartbeat.stop();
  });

  it("back by less than two seconds is not worth a word; by two seconds it is", async () => {
    const { clock, heartbeat, shifts } = scripted();
    heartbeat.start();
    await clock.advance(2_000);
    clock.jumpWall(-1_999);
    await clock.advance(5_000);
    expect(shifts).toEqual([]);
    clock.jumpWall(-2_000);
    await clock.advance(5_000);
    expect(shifts).toEqual([-2_000]);
    await heartbeat.stop();
  });

  it("back: says so with each login session until the clock is where it was, and no longer", async () => {
    const { clock, heartbeat, ids, setBack } = scripted();
    const beat = async (): Promise<boolean | undefined> => {
      ids(1);
      await clock.advance(1_000);
      return setBack.at(-1);
    };
    heartbeat.start();
    expect(await beat()).toBe(false);
    clock.jumpWall(-10_000);
    expect(await beat()).toBe(true);
    // It was seen at 2 s: by 12 s the clock stands where it stood.
    for (let second = 3; second <= 11; second += 1) expect(await beat()).toBe(true);
    expect(await beat()).toBe(false);
    await heartbeat.stop();
  });

  it("back twice: for the sum of both", async () => {
    const { clock, heartbeat, ids, setBack } = scripted();
    heartbeat.start();
    clock.jumpWall(-10_000);
    await clock.advance(1_000);
    clock.jumpWall(-10_000);
    await clock.advance(18_000);
    ids(1);
    await clock.advance(1_000);
    expect(setBack).toEqual([true]);
    // Seen at 1 s and at 2 s: by 21 s the clock stands where it stood.
    ids(1);
    await clock.advance(1_000);
    expect(setBack).toEqual([true, false]);
    await heartbeat.stop();
  });

  it("forward: no due time is moved, and no login session counts as due before its time", async () => {
    const { clock, heartbeat, ids, setBack, shifts } = scripted();
    heartbeat.start();
    clock.jumpWall(hourMs);
    ids(1);
    await clock.advance(1_000);
    expect(setBack).toEqual([false]);
    expect(shifts).toEqual([]);
    await heartbeat.stop();
  });
});

it("does not let the login sessions of a healthy issuer wait behind those of a dead one (I14)", async () => {
  const requests = new Hold();
  const { clock, one, signIn, server } = makeBench(
    { pause: (point, request) => (point === "request" && request.target.resource === "held" ? requests.wait() : Promise.resolve()) },
    { heartbeat: { concurrency: 8, leaseMs: 5_000 }, concurrencyPerIssuer: 2 },
  );
  const logins = [];
  for (let each = 0; each < 30; each += 1) logins.push(await signIn("alice"));
  server.outage = { kind: "not_sent", cause: new Error("down") };
  one.heartbeat.start();
  await clock.advance(40_000);
  // Never all eight hands at the dead issuer's gate: one waits there for the probe, the others come back later.
  let fullest = 0;
  for (let step = 0; step < 100; step += 1) {
    await clock.advance(100);
    fullest = Math.max(fullest, one.heartbeat.working);
  }
  expect(fullest).toBeLessThan(8);
  server.outage = undefined;
  await clock.advance(30_000);
  for (const { login } of logins) expect(login.current()).toMatchObject({ state: "live", health: { failures: 0 } });
  await one.heartbeat.stop();
});
