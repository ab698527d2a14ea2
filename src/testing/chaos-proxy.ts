import { createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock } from "../clock.ts";
import { ProxiedConnection } from "./chaos-connection.ts";
import type { ChaosConnection, ChaosCounts, ChaosPlan, NewConnection } from "./chaos-plan.ts";
import { listenOnLoopback } from "./loopback.ts";
import { seededRandom } from "./secrets.ts";

export interface ChaosProxyOptions {
  /** Where to connect to: a port of 127.0.0.1, or an address such as `http://127.0.0.1:1234`. */
  readonly target: number | string;
  /** The row of random numbers for `sometimes`. Default 1. */
  readonly seed?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** A TCP proxy on a free port of 127.0.0.1 that does to each connection what its plan says. For tests only. */
export interface ChaosProxy {
  readonly port: number;
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  readonly counts: ChaosCounts;
  /** Every connection since the start. */
  readonly connections: readonly ChaosConnection[];
  /** For the next connections (default one), before everything else. More of these queue up behind. */
  next(plan: ChaosPlan, count?: number): void;
  /** For all connections from now on. */
  always(plan: ChaosPlan): void;
  /** For this share (0 to 1) of the connections from now on, by the seed; the others pass. */
  sometimes(plan: ChaosPlan, share: number): void;
  /** For each connection from now on what the function says. */
  choose(chooser: (connection: NewConnection) => ChaosPlan): void;
  /** Everything passes, and nothing is queued. Connections that are open keep their plan. */
  clear(): void;
  /** Listens no longer: the operating system refuses connections. Open ones go on. */
  refuse(): void;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
  /** Cuts every open connection. */
  closeConnections(): void;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** Starts one. Throws when the target is no port and no address with one. */
export async function startChaosProxy(options: ChaosProxyOptions): Promise<ChaosProxy> {
  const proxy = new RunningChaosProxy(options);
  await proxy.accept();
  return proxy;
}

const pass: ChaosPlan = { kind: "pass" };

class RunningChaosProxy implements ChaosProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #connections: ProxiedConnection[] = [];
  readonly #queued: ChaosPlan[] = [];
  #chooser: (connection: NewConnection) => ChaosPlan = () => pass;
  #port = 0;
  #cut = 0;

  constructor({ target, seed = 1, clock = systemClock }: ChaosProxyOptions) {
    this.#target = parseTarget(target);
    this.#clock = clock;
    this.#random = seededRandom(seed);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get connections(): readonly ChaosConnection[] {
    return [...this.#connections];
  }

  get counts(): ChaosCounts {
    const plans: Partial<Record<ChaosPlan["kind"], number>> = {};
    for (const { plan } of this.#connections) plans[plan.kind] = (plans[plan.kind] ?? 0) + 1;
    return { connections: this.#connections.length, plans, cut: this.#cut };
  }

  next(plan: ChaosPlan, count = 1): void {
    this.#queued.push(...Array.from({ length: count }, () => plan));
  }

  always(plan: ChaosPlan): void {
    this.#chooser = () => plan;
  }

  sometimes(plan: ChaosPlan, share: number): void {
    this.#chooser = () => (this.#random() < share ? plan : pass);
  }

  choose(chooser: (connection: NewConnection) => ChaosPlan): void {
    this.#chooser = chooser;
  }

  clear(): void {
    this.#queued.length = 0;
    this.always(pass);
  }

  refuse(): void {
    if (this.#server.listening) this.#server.close();
  }

  async accept(): Promise<void> {
    if (!this.#server.listening) this.#port = await listenOnLoopback(this.#server, this.#port);
  }

  closeConnections(): void {
    for (const connection of this.#connections) connection.close();
  }

  async close(): Promise<void> {
    const closed = this.#server.listening ? new Promise<void>((resolve) => this.#server.close(() => resolve())) : undefined;
    this.closeConnections();
    await closed;
  }

  #take(socket: Socket): void {
    const facts: NewConnection = { number: this.#connections.length + 1, remotePort: socket.remotePort };
    const plan = this.#queued.shift() ?? this.#chooser(facts);
    const surroundings = {
      target: this.#target,
      clock: this.#clock,
      onCut: () => {
        this.#cut += 1;
      },
    };
    this.#connections.push(new ProxiedConnection(socket, facts, plan, surroundings));
  }
}

function parseTarget(target: number | string): { readonly host: string; readonly port: number } {
  if (typeof target === "number") return { host: "127.0.0.1", port: target };
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url === undefined || url.port === "") throw new Error(`${target} is no address with a port.`);
  return { host: url.hostname, port: Number(url.port) };
}
