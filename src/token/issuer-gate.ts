import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import { backoffMs } from "./times.ts";

/** A waiting user goes before the heartbeat. */
export type GatePriority = "user" | "heartbeat";

/** How the authorization server behaved while the ticket was held. `neutral`: nothing was asked of it. */
export type GateVerdict =
  /** A refresh succeeded. */
  | { readonly kind: "healthy" }
  /** It answered, if only with a refusal of this one request. */
  | { readonly kind: "answered" }
  | { readonly kind: "sick"; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: "client_broken"; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: "neutral" };

/** The right to ask the authorization server something. Leaving twice does nothing. */
export interface GateTicket {
  leave(verdict: GateVerdict): void;
}

/** A place in the queue of the gate. */
export interface GatePlace {
  readonly entered: Promise<GateTicket>;
  /** A user is waiting now. */
  promote(): void;
}

export interface IssuerGateOptions {
  /** How many presentations may be under way at one time. */
  readonly concurrency: number;
  readonly random: () => number;
  /** Told when the gate closes because the client's credentials are refused, and when it works again. */
  readonly onPause?: (paused: boolean) => void;
}

interface Waiter {
  priority: GatePriority;
  readonly expiresAt: number;
  readonly admit: (ticket: GateTicket) => void;
  readonly refuse: (error: LatchkeyError) => void;
}

/** So many failures in a row close the gate. */
const failuresToClose = 5;
/** A closed gate is probed at least this often. */
const longestClosedMs = 5_000;
/** `Retry-After` is honoured up to this. */
const longestRetryAfterMs = 300_000;
const pausedProbeMs = 60_000;

/**
 * Guards one authorization server (I13): a concurrency limit, and a breaker that closes after failures in a row and lets
 * one probe through at a time until one succeeds. Users go first, then the soonest expiry.
 */
export class IssuerGate {
  readonly #clock: Clock;
  readonly #options: IssuerGateOptions;
  #waiting: Waiter[] = [];
  #inside = 0;
  #failures = 0;
  #openAt = 0;
  /** Until then the server asked for rest (Retry-After): a success of an older request does not take that back. */
  #restUntil = 0;
  #paused = false;
  #isShutDown = false;
  #lastHealthyAt: number | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, options: IssuerGateOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Milliseconds until somebody may ask again; 0: now. A caller that waits for a user need not even queue. */
  get closedForMs(): number {
    return Math.max(0, Math.max(this.#openAt, this.#restUntil) - this.#clock.monotonic());
  }

  /** True while the authorization server refuses this client as such (`invalid_client`). */
  get paused(): boolean {
    return this.#paused;
  }

  /**
   * True when background work had better come back later than queue here: whoever waits holds a place that another
   * authorization server's login sessions need. One always waits, so that a closed gate is probed.
   */
  get isCrowded(): boolean {
    const isHalfOpen = this.#paused || this.#failures >= failuresToClose;
    return this.#waiting.length >= (isHalfOpen || this.closedForMs > 0 ? 1 : 2 * this.#options.concurrency);
  }

  /** When a refresh last succeeded here. */
  get lastHealthyAt(): number | undefined {
    return this.#lastHealthyAt;
  }

  /** A login has just gone through there: it answers, and it accepts this client. What waits may try at once. */
  reopen(): void {
    this.#failures = 0;
    this.#openAt = 0;
    this.#setPaused(false);
    this.#admitNext();
  }

  /**
   * Lets nobody in any more: whoever waits is refused with LatchkeyError `authorization_server_unavailable`, since a process
   * that ends must not wait for an authorization server that is down. Who is inside goes on.
   */
  shutDown(): void {
    this.#isShutDown = true;
    this.#timer?.cancel();
    const message = "The server is shutting down, so the access token was not refreshed. Connect again and repeat the call.";
    const error = new LatchkeyError("authorization_server_unavailable", message, { retryable: true, retryAfterSeconds: 1 });
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error);
  }

  /** Queues for a ticket. `expiresAt`: when the access token of the one who asks ends. */
  enter(priority: GatePriority, expiresAt: number): GatePlace {
    const { promise, resolve, reject } = Promise.withResolvers<GateTicket>();
    const waiter: Waiter = { priority, expiresAt, admit: resolve, refuse: reject };
    this.#waiting.push(waiter);
    if (this.#isShutDown) this.shutDown();
    else this.#admitNext();
    return {
      entered: promise,
      promote: () => {
        waiter.priority = "user";
      },
    };
  }

  #admitNext(): void {
    while (this.#waiting.length > 0) {
      const isHalfOpen = this.#paused || this.#failures >= failuresToClose;
      if (this.#inside >= (isHalfOpen ? 1 : this.#options.concurrency)) return;
      const closedForMs = this.closedForMs;
      if (closedForMs > 0) {
        this.#wakeAfter(closedForMs);
        return;
      }
      const next = this.#takeFirst();
      if (next === undefined) return;
      this.#inside += 1;
      next.admit(this.#ticket());
    }
  }

  #takeFirst(): Waiter | undefined {
    let best = 0;
    for (let index = 1; index < this.#waiting.length; index += 1) {
      const a = this.#waiting[index];
      const b = this.#waiting[best];
      if (a === undefined || b === undefined) continue;
      const before = a.priority === b.priority ? a.expiresAt < b.expiresAt : a.priority === "user";
      if (before) best = index;
    }
    return this.#waiting.splice(best, 1)[0];
  }

  #ticket(): GateTicket {
    let held = true;
    return {
      leave: (verdict) => {
        if (!held) return;
        held = false;
        this.#inside -= 1;
        this.#judge(verdict);
        this.#admitNext();
      },
    };
  }

  #judge(verdict: GateVerdict): void {
    switch (verdict.kind) {
      case "healthy":
        this.#failures = 0;
        this.#openAt = 0;
        this.#lastHealthyAt = this.#clock.now();
        this.#setPaused(false);
        return;
      case "answered":
        if (!this.#paused) this.#failures = 0;
        return;
      case "sick": {
        this.#failures += 1;
        const over = this.#failures - failuresToClose;
        const breakMs = over >= 0 ? backoffMs(over, this.#options.random, 1_000, longestClosedMs) : 0;
        this.#rest(verdict.retryAfterSeconds);
        this.#openAt = Math.max(this.#openAt, this.#clock.monotonic() + breakMs);
        return;
      }
      case "client_broken":
        this.#failures += 1;
        this.#rest(verdict.retryAfterSeconds);
        this.#openAt = this.#clock.monotonic() + backoffMs(this.#failures, this.#options.random, 1_000, pausedProbeMs);
        this.#setPaused(true);
        return;
      case "neutral":
        return;
    }
  }

  #rest(retryAfterSeconds = 0): void {
    this.#restUntil = Math.max(this.#restUntil, this.#clock.monotonic() + Math.min(longestRetryAfterMs, retryAfterSeconds * 1000));
  }

  #setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#options.onPause?.(paused);
  }

  #wakeAfter(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(delayMs, () => this.#admitNext());
  }
}
