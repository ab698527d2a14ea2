import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { LoginSessionId } from "../session/login-session.ts";
import type { LoginSessionStore } from "../session/store.ts";
import type { Maintenance } from "../token/maintenance.ts";

export interface HeartbeatOptions {
  readonly store: Pick<LoginSessionStore, "claimDue" | "shiftDue">;
  readonly maintenance: Pick<Maintenance, "maintain">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often it looks for due login sessions, in milliseconds. */
  readonly intervalMs: number;
  /** How many login sessions are looked after at one time. */
  readonly concurrency: number;
  /** How long a claimed login session is hidden from other claims, in milliseconds. */
  readonly leaseMs: number;
}

/** A jump of the wall clock by more than this is acted on. */
const jumpMs = 2_000;

/**
 * Keeps login sessions alive: it claims what is due and hands it to maintenance. It holds ids only, and only while it
 * works on them. Cycles never overlap (R11): the next look is planned after the present one.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #working = new Set<LoginSessionId>();
  #timer: Timer | undefined;
  #running = false;
  #looking = false;
  /** The last claim took all that it could: there may be more. */
  #more = false;
  #idle: (() => void)[] = [];
  #wallBefore = 0;
  #monotonicBefore = 0;
  /** Until then (monotonic) there may be due times that were written before the wall clock was set back. */
  #setBackUntil = 0;
  /** By how much due times are still to be moved back. */
  #owedShiftMs = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Begins. Starting twice does nothing. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#wallBefore = this.#options.clock.now();
    this.#monotonicBefore = this.#options.clock.monotonic();
    this.#plan(this.#options.intervalMs);
  }

  /** Claims nothing more, and resolves when what it works on is done. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    if (this.#working.size === 0 && !this.#looking) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** How many login sessions it works on at this moment. */
  get working(): number {
    return this.#working.size;
  }

  #plan(delayMs: number): void {
    if (!this.#running) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#looking || !this.#running) return;
    this.#looking = true;
    try {
      this.#noticeJump();
      await this.#shiftOwed();
      await this.#claim();
    } catch (error) {
      // More or not: a store that fails is asked again after the interval, not at once and without end.
      this.#more = false;
      this.#options.logger.warn("The heartbeat could not read the store; it looks again.", { error });
    } finally {
      this.#looking = false;
      this.#plan(this.#options.intervalMs);
      this.#lookForMore();
      this.#tellIdle();
    }
  }

  async #claim(): Promise<void> {
    const { store, clock, concurrency, leaseMs } = this.#options;
    const room = concurrency - this.#working.size;
    if (room <= 0) return;
    const claimed = await store.claimDue(clock.now(), room, leaseMs);
    this.#more = claimed.length >= room;
    // Stopped meanwhile: they come again, here or elsewhere, when their lease is over.
    if (!this.#running) return;
    for (const id of claimed) if (!this.#working.has(id)) void this.#work(id);
  }

  /** Without it, `concurrency` login sessions in each interval would be the most that it can keep alive. */
  #lookForMore(): void {
    if (this.#more && !this.#looking && this.#working.size < this.#options.concurrency) this.#plan(0);
  }

  async #work(id: LoginSessionId): Promise<void> {
    this.#working.add(id);
    try {
      const clockSetBack = this.#options.clock.monotonic() < this.#setBackUntil;
      await this.#options.maintenance.maintain(id, clockSetBack);
    } catch (error) {
      // It stays due, and comes again when its lease is over.
      this.#options.logger.warn("A login session could not be looked after; it is tried again.", { error });
    } finally {
      this.#working.delete(id);
      this.#lookForMore();
      this.#tellIdle();
    }
  }

  /** A wall clock that was set back would hide due login sessions until it catches up: their due times go back with it. */
  #noticeJump(): void {
    const { clock, logger } = this.#options;
    const wall = clock.now();
    const monotonic = clock.monotonic();
    const jumped = wall - this.#wallBefore - (monotonic - this.#monotonicBefore);
    this.#wallBefore = wall;
    this.#monotonicBefore = monotonic;
    if (Math.abs(jumped) < jumpMs) return;
    logger.warn("The wall clock jumped; due times are looked at again.", { bySeconds: Math.round(jumped / 1000) });
    // Forward, after a sleep or a correction: what became due is claimed now, as many at a time as always.
    if (jumped > 0) return;
    this.#setBackUntil = Math.max(this.#setBackUntil, monotonic) - jumped;
    this.#owedShiftMs += jumped;
  }

  async #shiftOwed(): Promise<void> {
    const byMs = this.#owedShiftMs;
    if (byMs === 0) return;
    await this.#options.store.shiftDue(byMs);
    this.#owedShiftMs -= byMs;
  }

  #tellIdle(): void {
    if (this.#working.size > 0 || this.#looking) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
