import { connect, type Socket } from "node:net";
import type { Clock } from "../clock.ts";
import type { ChaosConnection, ChaosPlan, Direction, NewConnection } from "./chaos-plan.ts";
import { type Pace, PacedPipe } from "./paced-pipe.ts";

export interface ChaosSurroundings {
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** Called once, when the plan cuts the connection. */
  readonly onCut: () => void;
}

/** One accepted connection and its way to the target. */
export class ProxiedConnection implements ChaosConnection {
  readonly number: number;
  readonly remotePort: number | undefined;
  readonly plan: ChaosPlan;
  requestBytes = 0;
  replyBytes = 0;
  readonly #client: Socket;
  readonly #surroundings: ChaosSurroundings;
  #upstream: Socket | undefined;
  #isCut = false;

  constructor(client: Socket, facts: NewConnection, plan: ChaosPlan, surroundings: ChaosSurroundings) {
    this.number = facts.number;
    this.remotePort = facts.remotePort;
    this.plan = plan;
    this.#client = client;
    this.#surroundings = surroundings;
    client.on("error", () => client.destroy());
    this.#begin();
  }

  get open(): boolean {
    return !this.#client.destroyed;
  }

  close(): void {
    this.#client.destroy();
    this.#upstream?.destroy();
  }

  #begin(): void {
    switch (this.plan.kind) {
      case "reset_at_once":
        this.#reset();
        return;
      case "drop_request":
        this.#client.once("data", () => this.#reset());
        return;
      case "black_hole":
        this.#client.resume();
        return;
      case "pass":
      case "delay":
      case "bandwidth":
      case "reset_after":
      case "drop_reply":
      case "half_close":
        this.#forward();
        return;
    }
  }

  #forward(): void {
    const { target, clock } = this.#surroundings;
    const client = this.#client;
    const upstream = connect({ ...target, allowHalfOpen: true });
    this.#upstream = upstream;
    upstream.on("error", () => client.resetAndDestroy());
    new PacedPipe(client, upstream, paceOf(this.plan, "request"), clock, (piece) => this.#passRequest(piece));
    new PacedPipe(upstream, client, paceOf(this.plan, "reply"), clock, (piece) => this.#passReply(piece));
    // A reply that is dropped is still read to its end: for the target it was delivered.
    client.on("close", () => {
      if (this.plan.kind !== "drop_reply") upstream.destroy();
    });
  }

  #passRequest(piece: Buffer): Buffer {
    const { plan } = this;
    const passed =
      plan.kind === "reset_after" && plan.direction === "request" ? piece.subarray(0, Math.max(0, plan.bytes - this.requestBytes)) : piece;
    this.requestBytes += passed.length;
    if (plan.kind === "reset_after" && plan.direction === "request" && this.requestBytes >= plan.bytes) this.#resetAfterFlush();
    if (plan.kind === "half_close" && (plan.afterReplyBytes ?? 0) === 0) this.#endClient();
    return passed;
  }

  #passReply(piece: Buffer): Buffer {
    const { plan } = this;
    if (plan.kind === "drop_reply") {
      if (plan.ending === "end") this.#endClient();
      else this.#reset();
      return Buffer.alloc(0);
    }
    const passed = piece.subarray(0, this.#replyRoom());
    this.replyBytes += passed.length;
    if (plan.kind === "reset_after" && this.#replyRoom() === 0) this.#resetAfterFlush();
    if (plan.kind === "half_close" && this.#replyRoom() === 0) queueMicrotask(() => this.#endClient());
    return passed;
  }

  /** How many more bytes of the reply the client gets. */
  #replyRoom(): number {
    const { plan } = this;
    if (plan.kind === "half_close") return Math.max(0, (plan.afterReplyBytes ?? 0) - this.replyBytes);
    if (plan.kind === "reset_after" && plan.direction === "reply") return Math.max(0, plan.bytes - this.replyBytes);
    return Number.POSITIVE_INFINITY;
  }

  #endClient(): void {
    this.#recordCut();
    this.#client.end();
  }

  /** What was just passed on shall arrive first; what is not yet written would be lost in a reset. */
  #resetAfterFlush(): void {
    queueMicrotask(() => {
      const socket = this.plan.kind === "reset_after" && this.plan.direction === "request" ? this.#upstream : this.#client;
      socket?.write("", () => {
        this.#upstream?.resetAndDestroy();
        this.#reset();
      });
    });
  }

  #reset(): void {
    this.#recordCut();
    this.#client.resetAndDestroy();
  }

  #recordCut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#surroundings.onCut();
  }
}

function paceOf(plan: ChaosPlan, direction: Direction): Pace {
  const isDelayed = plan.kind === "delay" && (plan.direction ?? direction) === direction;
  return {
    delayMs: isDelayed ? plan.milliseconds : 0,
    bytesPerSecond: plan.kind === "bandwidth" ? plan.bytesPerSecond : undefined,
  };
}
