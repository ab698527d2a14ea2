import type { RefreshRequest } from "../../src/token/ports.ts";
import type { NetworkFault } from "./conditions.ts";
import type { Claim } from "./login-truth.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Presented, SimulatedAuthorizationServer } from "./simulated-authorization-server.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** Told when a refresh token is presented, and when the process knows what became of that. */
export interface PresentationWitness {
  begin(process: SimulatedProcess, server: SimulatedAuthorizationServer, request: RefreshRequest): Presentation;
  arrive(presentation: Presentation): void;
  end(presentation: Presentation): void;
}

/** One presentation of a refresh token, with all that is true of it. Times are milliseconds since the world began. */
export class Presentation {
  readonly process: SimulatedProcess;
  readonly server: SimulatedAuthorizationServer;
  readonly token: string;
  readonly beganAt: number;
  readonly #scheduler: Scheduler;
  /** The claim that it was made for; undefined: an import's. */
  claim: Claim | undefined;
  fault: NetworkFault | undefined;
  /** So long the answer asked for rest. */
  retryAfterSeconds: number | undefined;
  /** What the authorization server did; undefined: the request has not arrived. */
  presented: Presented | undefined;
  arrivedAt: number | undefined;
  /** Undefined: the process does not know yet. */
  endedAt: number | undefined;
  /** The whole reply came into the process. */
  reached = false;

  constructor(process: SimulatedProcess, server: SimulatedAuthorizationServer, token: string, scheduler: Scheduler) {
    this.process = process;
    this.server = server;
    this.token = token;
    this.beganAt = scheduler.now;
    this.#scheduler = scheduler;
  }

  /** The reply's body, if there is one. */
  get body(): string | undefined {
    return this.presented?.kind === "granted" ? this.presented.body : undefined;
  }

  arrived(presented: Presented): void {
    this.presented = presented;
    this.arrivedAt = this.#scheduler.now;
  }

  ended(reached: boolean): void {
    this.endedAt = this.#scheduler.now;
    this.reached = reached;
  }
}
