import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { WatchedLoginSession } from "../../src/session/login-sessions.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { History } from "../support/history.ts";
import { hookedStore } from "../support/hooked-store.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { ModelAuthorizationServer, type ModelFault, type ModelOptions } from "../support/model-authorization-server.ts";
import { makeReplica, type Replica, type ReplicaOptions, tryAcquire } from "../support/token-bench.ts";

type Command =
  | { readonly kind: "acquire"; readonly replica: number; readonly user: number; readonly how: "any" | "rejected" | "narrow" | "long" }
  | { readonly kind: "beat"; readonly replica: number; readonly user: number }
  | { readonly kind: "logout"; readonly replica: number; readonly user: number }
  | { readonly kind: "repair"; readonly replica: number; readonly user: number }
  | { readonly kind: "tick"; readonly ms: number }
  | { readonly kind: "fault"; readonly fault: ModelFault }
  /** The next refresh hangs; so many `resume` later it goes on. */
  | { readonly kind: "hang" }
  | { readonly kind: "resume" };

interface World {
  readonly replicas: number;
  readonly users: number;
  readonly model: Partial<ModelOptions>;
  readonly policy: ReplicaOptions["authorizationServer"];
  readonly commands: readonly Command[];
}

const cause = new Error("injected");
const replica = fc.nat(2);
const user = fc.nat(1);

/** Little enough that ten of them stay within an attempt's deadline: a server that takes longer is not healthy. */
const shortTicks: fc.Arbitrary<Command> = fc.record({ kind: fc.constant("tick" as const), ms: fc.constantFrom(1, 500, 1_000) });
const longTicks: fc.Arbitrary<Command> = fc.record({
  kind: fc.constant("tick" as const),
  ms: fc.constantFrom(1, 1_000, 5_000, 13_000, 20_000),
});

const calls: readonly fc.Arbitrary<Command>[] = [
  fc.record({
    kind: fc.constant("acquire" as const),
    replica,
    user,
    how: fc.constantFrom("any" as const, "any" as const, "rejected" as const, "narrow" as const, "long" as const),
  }),
  fc.record({ kind: fc.constant("beat" as const), replica, user }),
];
const ends: readonly fc.Arbitrary<Command>[] = [
  fc.record({ kind: fc.constant("logout" as const), replica, user }),
  fc.record({ kind: fc.constant("repair" as const), replica, user }),
];
const answers: readonly RefreshOutcome[] = [
  { kind: "not_sent", cause },
  { kind: "server_error", cause },
  { kind: "refused", cause },
  { kind: "ambiguous", cause },
  { kind: "client_broken", cause },
];
const faults: readonly fc.Arbitrary<Command>[] = [
  fc.record({
    kind: fc.constant("fault" as const),
    fault: fc.oneof(
      fc.constantFrom<ModelFault>({ kind: "lose_reply" }, { kind: "lose_request" }, { kind: "subject", subject: "mallory" }),
      fc.constantFrom(...answers).map((outcome): ModelFault => ({ kind: "answer", outcome })),
    ),
  }),
  fc.constant({ kind: "hang" as const }),
  fc.constant({ kind: "resume" as const }),
];

const behaviours = fc.constantFrom<Pick<World, "model" | "policy">>(
  { model: {}, policy: {} },
  { model: { introspection: "works" }, policy: {} },
  { model: { introspection: "denies" }, policy: {} },
  { model: { graceMs: 60_000 }, policy: { reuseLeewaySeconds: 60 } },
  { model: { rotates: false }, policy: {} },
  { model: {}, policy: { lostReply: "retire" } },
);

/** Runs the commands at once, in an order and with pauses that the scheduler chooses; then lets everything come to rest. */
async function run(
  world: World,
  scheduler: fc.Scheduler,
): Promise<{ readonly history: History; readonly server: ModelAuthorizationServer; readonly replicas: readonly Replica[] }> {
  let free = false;
  const pause = (): Promise<void> => (free ? Promise.resolve() : scheduler.schedule(Promise.resolve()));
  let hangs = 0;
  const hung: (() => void)[] = [];
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  const server = new ModelAuthorizationServer({
    now: () => clock.now(),
    pause: async (point) => {
      if (hangs > 0 && point === "reply") {
        hangs -= 1;
        await new Promise<void>((resolve) => void hung.push(resolve));
      }
      await pause();
    },
    pauseOther: pause,
    ...world.model,
  });
  const history = new History(store.loginSessions, server);
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => (operation === "get" || operation === "commit" ? pause() : undefined),
    after: (operation) => (operation === "commit" ? pause() : undefined),
  });
  const options = { clock, server, store, loginSessions, authorizationServer: world.policy };
  const replicas = Array.from({ length: world.replicas }, (_, index) => makeReplica({ ...options, owner: `replica-${index}` }));
  const [first] = replicas;
  if (first === undefined) throw new Error("at least one replica");
  free = true;
  const records: LoginSession[] = [];
  for (const name of ["alice", "bob"].slice(0, world.users)) records.push(await first.logins.start(server.signIn(name), { kind: "demo" }));
  const watched = new Map<string, WatchedLoginSession>();
  for (const [index, each] of replicas.entries())
    for (const record of records) watched.set(`${index} ${record.id}`, await each.watch(record));
  await settle();
  await clock.advance(22_000);
  free = false;

  let ticks = 0;
  const act = async (command: Command): Promise<void> => {
    await pause();
    switch (command.kind) {
      case "tick":
        ticks += command.ms;
        return;
      case "fault":
        server.faults.push(command.fault);
        return;
      case "hang":
        hangs += 1;
        return;
      case "resume":
        hung.shift()?.();
        return;
      case "acquire":
      case "beat":
      case "logout":
      case "repair": {
        const index = command.replica % world.replicas;
        const each = replicas[index];
        const record = records[command.user % world.users];
        const login = watched.get(`${index} ${record?.id}`);
        if (each === undefined || record === undefined || login === undefined) return;
        return actOn(command, each, record, login);
      }
    }
  };
  const actOn = async (command: Command, each: Replica, record: LoginSession, login: WatchedLoginSession): Promise<void> => {
    const { owner } = each.core;
    if (command.kind === "beat") return each.maintenance.maintain(record.id);
    if (command.kind === "logout") {
      await each.logout.end(record.id, "logout");
      history.logoutAnswered(record.id, { owner, at: clock.now() });
      return;
    }
    if (command.kind === "repair") {
      await each.logins.repair(record.handle, server.signIn(record.principal.subject)).catch(() => undefined);
      return;
    }
    if (command.kind !== "acquire") return;
    const asked = {
      any: {},
      rejected: { rejected: login.current().accessTokens[0]?.accessToken ?? "none" },
      narrow: { minimumValiditySeconds: 8 },
      long: { minimumValiditySeconds: 20 },
    }[command.how];
    const got = await tryAcquire(each, login, asked);
    if (got instanceof Error) return;
    history.serve(record.id, got.accessToken, clock.now(), owner);
    const minimum = "minimumValiditySeconds" in asked ? (asked.minimumValiditySeconds ?? 0) : 0;
    if (got.expiresAt - clock.now() <= minimum * 1000) history.violations.push(`I6: asked for ${minimum} s, got less`);
  };

  let left = world.commands.length;
  for (const command of world.commands)
    void act(command).finally(() => {
      left -= 1;
    });
  for (let step = 0; left > 0 && step < 5_000; step += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (ticks > 0) {
      const ms = ticks;
      ticks = 0;
      await clock.advance(ms);
    } else if (scheduler.count() > 0) await scheduler.waitNext(1);
    else await clock.advance(500);
  }
  // Whatever hangs comes back late (F11), and the server is well from now on.
  free = true;
  server.faults.length = 0;
  hangs = 0;
  if (scheduler.count() > 0) await scheduler.waitIdle();
  const last = makeReplica({ ...options, owner: "replica-last" });
  last.heartbeat.start();
  await clock.advance(20_000);
  for (const resume of hung.splice(0)) resume();
  await clock.advance(150_000);
  await last.heartbeat.stop();
  expect(left).toBe(0);
  return { history, server, replicas };
}

const healthyWorld: fc.Arbitrary<World> = fc.record({
  replicas: fc.integer({ min: 1, max: 3 }),
  users: fc.integer({ min: 1, max: 2 }),
  model: fc.constantFrom<Partial<ModelOptions>>({}, { introspection: "works" }),
  policy: fc.constant({}),
  commands: fc.array(fc.oneof(...calls, shortTicks), { minLength: 2, maxLength: 10 }),
});

const endingWorld: fc.Arbitrary<World> = fc.record({
  replicas: fc.integer({ min: 1, max: 2 }),
  users: fc.integer({ min: 1, max: 2 }),
  model: fc.constant({}),
  policy: fc.constant({}),
  commands: fc.array(fc.oneof(...calls, shortTicks, ...ends), { minLength: 3, maxLength: 10 }),
});

const roughWorld: fc.Arbitrary<World> = fc
  .record({
    replicas: fc.integer({ min: 1, max: 3 }),
    users: fc.integer({ min: 1, max: 2 }),
    behaviour: behaviours,
    commands: fc.array(fc.oneof(...calls, ...calls, longTicks, ...ends, ...faults, ...faults), { minLength: 4, maxLength: 14 }),
  })
  .map(({ behaviour, ...world }) => ({ ...world, ...behaviour }));

describe("at every interleaving that was tried (property)", () => {
  it("callers, heartbeats and replicas with a healthy server: one presentation per generation, own tokens only (I1-I3, I5-I8, F1, F2)", async () => {
    await fc.assert(
      fc.asyncProperty(healthyWorld, fc.scheduler(), async (world, scheduler) => {
        const { history, server } = await run(world, scheduler);
        expect(history.check({ healthy: true })).toEqual([]);
        expect(history.checkSettled()).toEqual([]);
        expect(server.reuseEvents).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("logouts and repairs among them: final, revoked, never served or refreshed again (I11, I12, F20, F22)", async () => {
    await fc.assert(
      fc.asyncProperty(endingWorld, fc.scheduler(), async (world, scheduler) => {
        const { history, server } = await run(world, scheduler);
        expect(history.check({ healthy: true })).toEqual([]);
        expect(history.checkSettled()).toEqual([]);
        expect(server.reuseEvents).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it("lost and late replies, refusals and foreign tokens as well: the same, and nobody dies of what left the token alive (I1-I3, I5-I12, I15)", async () => {
    await fc.assert(
      fc.asyncProperty(roughWorld, fc.scheduler(), async (world, scheduler) => {
        const { history } = await run(world, scheduler);
        expect(history.check({ retires: world.policy?.lostReply === "retire" })).toEqual([]);
        expect(history.checkSettled()).toEqual([]);
      }),
      { numRuns: 120 },
    );
  });
});
