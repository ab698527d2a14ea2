import type { Socket } from "node:net";
import { type Clock, sleep } from "../clock.ts";

/** How one direction of a connection is passed on. */
export interface Pace {
  readonly delayMs: number;
  /** Undefined: as fast as it goes. */
  readonly bytesPerSecond: number | undefined;
}

/** Passes bytes on in order, late or slowly. `pass` sees each piece before it is written, and says how much of it is. */
export class PacedPipe {
  readonly #to: Socket;
  readonly #clock: Clock;
  readonly #pace: Pace;
  #tail: Promise<void> = Promise.resolve();

  constructor(from: Socket, to: Socket, pace: Pace, clock: Clock, pass: (piece: Buffer) => Buffer) {
    this.#to = to;
    this.#clock = clock;
    this.#pace = pace;
    from.on("data", (data: Buffer) => {
      const dueAt = clock.monotonic() + pace.delayMs;
      this.#queue(() => this.#write(data, dueAt, pass));
      if (pace.bytesPerSecond !== undefined) {
        // Slow on purpose: the sender must notice.
        from.pause();
        this.#queue(async () => void from.resume());
      }
    });
    from.on("end", () =>
      this.#queue(async () => {
        if (to.writable) to.end();
      }),
    );
  }

  #queue(step: () => Promise<void>): void {
    this.#tail = this.#tail.then(step);
  }

  async #write(data: Buffer, dueAt: number, pass: (piece: Buffer) => Buffer): Promise<void> {
    const { bytesPerSecond } = this.#pace;
    const waitMs = dueAt - this.#clock.monotonic();
    if (waitMs > 0) await sleep(this.#clock, waitMs);
    const size = bytesPerSecond === undefined ? data.length : Math.max(1, Math.ceil(bytesPerSecond / piecesPerSecond));
    for (let start = 0; start < data.length && this.#to.writable; start += size) {
      const piece = pass(data.subarray(start, start + size));
      if (piece.length > 0) this.#to.write(piece);
      if (bytesPerSecond !== undefined) await sleep(this.#clock, (1000 * piece.length) / bytesPerSecond);
    }
  }
}

const piecesPerSecond = 20;
