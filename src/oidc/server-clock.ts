import { httpDate } from "./retry-after.ts";

/** One exchange, by this machine's clock, in milliseconds since the epoch. */
export interface DatedExchange {
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly headers: Headers;
}

/** Older measurements do not count: clocks drift. */
const memoryMs = 3600_000;
/** A difference of this much is worth words, whatever the tolerance. */
const remarkableSeconds = 30;

/**
 * The clock of one authorization server, seen through the `Date` header of its answers (RFC 9110, section 6.6.1). The header
 * was written between sending and receiving, and has whole seconds: each answer bounds the difference of the clocks on both
 * sides. Answers in a row narrow it down; one that contradicts them, or an hour, begins anew, since somebody set a clock.
 */
export class ServerClock {
  readonly #toleranceSeconds: number;
  /** In milliseconds: the difference is above `low` and not above `high`. */
  #bounds: { readonly low: number; readonly high: number; readonly since: number } | undefined;

  constructor(toleranceSeconds: number) {
    this.#toleranceSeconds = toleranceSeconds;
  }

  /**
   * By how much this machine's clock is ahead, in whole seconds; negative: behind; 0 also when the clocks may agree, whatever
   * the network did. Undefined: nothing is known.
   */
  get aheadSeconds(): number | undefined {
    if (this.#bounds === undefined) return undefined;
    return this.#surelySeconds === 0 ? 0 : Math.round((this.#bounds.low + this.#bounds.high) / 2000);
  }

  /** True when the clocks are so far apart that somebody should know: beyond the tolerance, or half a minute. */
  get isRemarkable(): boolean {
    return this.#surelySeconds >= 2 && this.#surelySeconds > Math.min(remarkableSeconds, this.#toleranceSeconds);
  }

  /** What they are apart at least. */
  get #surelySeconds(): number {
    const { low, high } = this.#bounds ?? { low: 0, high: 0 };
    return Math.floor(Math.max(0, low, -high) / 1000);
  }

  /** Takes an answer into account. One without a usable date, or out of a cache on the way, says nothing. */
  note({ sentAt, receivedAt, headers }: DatedExchange): void {
    const date = httpDate(headers.get("date"));
    if (date === undefined || /[1-9]/.test(headers.get("age") ?? "") || receivedAt < sentAt) return;
    const [low, high] = [sentAt - date - 1000, receivedAt - date];
    const known = this.#bounds;
    const narrower = known === undefined ? undefined : { low: Math.max(low, known.low), high: Math.min(high, known.high) };
    const isRecent = known !== undefined && Math.abs(receivedAt - known.since) < memoryMs;
    this.#bounds =
      known !== undefined && narrower !== undefined && isRecent && narrower.low < narrower.high
        ? { ...narrower, since: known.since }
        : { low, high, since: receivedAt };
  }
}
