import type { LoginSessionId } from "../../src/session/login-session.ts";
import type { CallHost } from "../../src/tool/call-host.ts";
import type { Connection } from "../../src/transport/connection.ts";
import { Conditions } from "./conditions.ts";
import { Findings } from "./findings.ts";
import type { LoginTruth } from "./login-truth.ts";
import { type Mutant, mutantServer, mutantStore } from "./mutants.ts";
import { PresentationCheck } from "./presentation-check.ts";
import { RecordCheck } from "./record-check.ts";
import { Scheduler } from "./scheduler.ts";
import { SeededRandom } from "./seeded-random.ts";
import { allServers, type ServerTraits } from "./server-traits.ts";
import { ServingCheck } from "./serving-check.ts";
import { readAccessToken, SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { SimulatedProcess, worldBegin } from "./simulated-process.ts";
import { SimulatedReplica } from "./simulated-replica.ts";
import { SimulatedStore } from "./simulated-store.ts";
import { codeOf, SimulatedUser } from "./simulated-user.ts";
import { Trace } from "./trace.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly users: number;
  readonly replicas: number;
  readonly servers?: readonly ServerTraits[] | undefined;
  readonly mutant?: Mutant | undefined;
  /** Keeps the lines of the trace. */
  readonly keepTrace?: boolean | undefined;
}

/** How long a login session lives on that nobody uses. */
export const idleLimitSeconds = 3 * 3600;
export const tombstoneSeconds = 3600;
/** A client waits so long for an answer of a replica. */
const patienceMs = 40_000;

/** Users, replicas, their store, the network and the authorization servers: one simulated world, and what is found out about it. */
export class World {
  readonly scheduler = new Scheduler();
  readonly random: SeededRandom;
  readonly conditions: Conditions;
  readonly trace: Trace;
  readonly findings: Findings;
  readonly records: RecordCheck;
  readonly presentations: PresentationCheck;
  readonly serving: ServingCheck;
  readonly store: SimulatedStore;
  readonly servers: ReadonlyMap<string, SimulatedAuthorizationServer>;
  readonly users: readonly SimulatedUser[];
  readonly #mutant: Mutant;
  readonly #replicas: SimulatedReplica[] = [];
  #processes = 0;
  #skewMs = 0;

  constructor(options: WorldOptions) {
    const { scheduler } = this;
    this.random = new SeededRandom(options.seed);
    this.#mutant = options.mutant ?? "none";
    this.trace = new Trace(options.keepTrace ?? false);
    this.conditions = new Conditions(scheduler, this.random.fork());
    this.findings = new Findings(scheduler, this.trace);
    const traits = options.servers ?? allServers;
    this.servers = new Map(traits.map((each) => [each.name, new SimulatedAuthorizationServer(each, () => scheduler.now)]));
    const { conditions, findings, trace, servers } = this;
    this.serving = new ServingCheck({ scheduler, conditions, findings, replicas: () => this.#replicas });
    this.records = new RecordCheck({
      scheduler,
      conditions,
      findings,
      trace,
      servers,
      idleLimitSeconds,
      isBound: (id) => this.#replicas.some(({ process, registry }) => process.isRunning && registry.countByLoginSession(id) > 0),
      onDeath: (truth) => this.serving.ended(truth),
    });
    this.presentations = new PresentationCheck({
      scheduler,
      conditions,
      findings,
      trace,
      truthOf: (token) => this.records.truthOf(token),
      trusts: (process, record) =>
        this.#replicas.find((each) => each.process === process)?.core.issuers.trustsIntrospection(record) ?? false,
      presented: (truth, process) => this.serving.presented(truth, process),
    });
    const now = (): number => worldBegin + Math.floor(scheduler.now) + this.#skewMs;
    this.store = new SimulatedStore(scheduler, this.random.fork(), conditions, now, (next, previous, by) =>
      this.records.changed(next, previous, by),
    );
    for (let number = 1; number <= options.replicas; number += 1) this.startReplica();
    // Those with short lives are most of the work: fewer users have one.
    const all = [...servers.values()].flatMap((each) => (each.traits.accessTokenSeconds < 60 ? [each] : [each, each, each]));
    this.users = Array.from({ length: options.users }, (_, index) => {
      const server = all[index % all.length];
      if (server === undefined) throw new Error("no authorization server");
      return new SimulatedUser(this, `user${index + 1}`, server, this.random.fork());
    });
    for (const user of this.users) user.start();
    this.serving.sweep(() => this.records.truths.values());
  }

  get replicas(): readonly SimulatedReplica[] {
    return this.#replicas;
  }

  /** By how much the wall clock of all processes is ahead. */
  get skewMs(): number {
    return this.#skewMs;
  }

  setSkew(skewMs: number): void {
    this.#skewMs = skewMs;
    this.conditions.clockJumped();
    this.trace.add(this.scheduler.now, `all clocks are ${skewMs / 1000} s ahead`);
    for (const { process } of this.#replicas) process.setSkew(skewMs);
  }

  startReplica(): SimulatedReplica {
    const { scheduler, conditions } = this;
    const process = new SimulatedProcess(`p${++this.#processes}`, scheduler, this.random.fork());
    process.setSkew(this.#skewMs);
    const network = new SimulatedNetwork(process, scheduler, this.random.fork(), conditions, this.servers, this.presentations);
    const store = this.store.connect(process);
    const replica = new SimulatedReplica({
      process,
      store,
      loginSessions: mutantStore(this.#mutant, store, this.store),
      server: mutantServer(this.#mutant, network),
      servers: [...this.servers.values()],
      random: this.random.fork().next,
      policy: { idleLimitSeconds, tombstoneSeconds },
      callApi: (host) => this.#callApi(process, host),
      beats: this.#mutant !== "no_heartbeat",
    });
    this.#replicas.push(replica);
    return replica;
  }

  /** kill -9: nothing of it is left. */
  killReplica(replica: SimulatedReplica): void {
    replica.process.kill();
    this.store.disconnect(replica.store);
    this.#replicas.splice(this.#replicas.indexOf(replica), 1);
  }

  /** A replica that answers. */
  pickReplica(random: SeededRandom): SimulatedReplica | undefined {
    const running = this.#replicas.filter(({ process }) => process.isRunning);
    return running.length === 0 ? undefined : random.pick(running);
  }

  /** A request to a replica: its result, or undefined when it failed or nobody answered in time. */
  inProcess<T>(replica: SimulatedReplica, what: string, work: () => Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const timer = this.scheduler.after(patienceMs, () => resolve(undefined));
      const end = (value: T | undefined): void => {
        this.scheduler.cancel(timer);
        resolve(value);
      };
      replica.process.enter(() => {
        work().then(
          (value) => {
            this.findings.count(what);
            end(value);
          },
          (error: unknown) => {
            const code = codeOf(error);
            if (code === "foreign error" || code === "internal_error") this.findings.violate("errors", `${what} failed: ${String(error)}`);
            this.findings.count(`${what}: ${code}`);
            end(undefined);
          },
        );
      });
    });
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.scheduler.after(delayMs, resolve));
  }

  truthOf(id: LoginSessionId): LoginTruth | undefined {
    return this.records.truths.get(id);
  }

  count(what: string): void {
    this.findings.count(what);
  }

  served(truth: LoginTruth, replica: SimulatedReplica, subject: string, accessToken: string): void {
    this.serving.served(truth, replica.process, subject, accessToken);
  }

  logoutAnswered(truth: LoginTruth, replica: SimulatedReplica): void {
    truth.logoutAnswered ??= { at: this.scheduler.now, by: replica.process.name };
    this.trace.add(this.scheduler.now, `${replica.process.name} answers the logout of ${truth.number}`);
    if (truth.record.state !== "ended")
      this.findings.violate("I12", `logout of login ${truth.number} was answered, but it is ${truth.record.state}`);
  }

  /** A connection was bound: if its login session had ended by then, it must not last (R3). */
  bound(truth: LoginTruth, connection: Connection, replica: SimulatedReplica): void {
    truth.boundAt = this.scheduler.now;
    if (truth.record.state !== "ended") return;
    const at = this.scheduler.now;
    this.scheduler.after(1_100, () => {
      if (connection.isOpen && replica.process.isRunning && !this.conditions.wasTroubledFor(replica.process.name, at, at + 1_100))
        this.findings.violate("R3", `a connection is bound to login ${truth.number}, which has ended`);
    });
  }

  /** What the one tool does: calls the API with the user's access token, and once more with another after a 401. */
  async #callApi(process: SimulatedProcess, host: CallHost): Promise<string> {
    const { id, principal } = host.loginSession();
    // Some users' API wants a scope of its own.
    const target = { scopes: principal.subject.endsWith("7") ? ["notes"] : [] };
    const truth = this.truthOf(id);
    let rejected: string | undefined;
    for (let tries = 0; tries < 2; tries += 1) {
      const { accessToken } = await host.acquire(target, { rejected });
      if (truth !== undefined) this.serving.served(truth, process, principal.subject, accessToken);
      await new Promise<void>((resolve) => void this.scheduler.after(this.random.between(5, 50), () => process.enter(resolve)));
      if (!this.random.chance(0.02)) return `=${readAccessToken(accessToken)?.subject};`;
      this.conditions.hit("rejected_by_api");
      rejected = accessToken;
    }
    return `=${principal.subject};`;
  }
}
