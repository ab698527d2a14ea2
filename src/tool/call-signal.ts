import type { Clock, Timer } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";
import type { ApiSettings } from "./api.ts";

/**
 * All that may stop one call of an API: the tool call's own signal, the caller's, and the API's silence. It also says
 * afterwards which of them it was.
 */
export class CallSignal {
  /** Aborts when any of the three does. */
  readonly signal: AbortSignal;
  readonly #api: ApiSettings;
  readonly #host: AbortSignal;
  readonly #caller: AbortSignal | undefined;
  readonly #clock: Clock;
  readonly #silence = new AbortController();
  #timer: Timer | undefined;

  constructor(api: ApiSettings, host: AbortSignal, caller: AbortSignal | undefined, clock: Clock) {
    this.#api = api;
    this.#host = host;
    this.#caller = caller;
    this.#clock = clock;
    this.signal = AbortSignal.any([host, ...(caller === undefined ? [] : [caller]), this.#silence.signal]);
  }

  /** Waits for `work` under the API's time limit. Rejects with the LatchkeyError that says why it failed. */
  async limit<T>(unsafe: boolean, work: () => Promise<T>): Promise<T> {
    this.#timer = this.#clock.schedule(this.#api.timeoutSeconds * 1000, () => this.#silence.abort());
    try {
      return await work();
    } catch (thrown) {
      throw this.#explain(thrown, unsafe);
    } finally {
      this.#timer.cancel();
    }
  }

  /** Waits for `work`, which has a time limit of its own, but no longer than until an abort. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let stop = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    try {
      return await Promise.race([work, aborted]);
    } catch (thrown) {
      throw this.#stopped() ?? thrown;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #stopped(): LatchkeyError | undefined {
    // First the tool call's own end: its reason (login_ended, login_required) is what the user must hear.
    for (const signal of [this.#host, this.#caller]) {
      if (signal?.aborted) return signal.reason instanceof LatchkeyError ? signal.reason : cancelled(signal.reason);
    }
    return undefined;
  }

  #explain(thrown: unknown, unsafe: boolean): LatchkeyError {
    const stopped = this.#stopped();
    if (stopped !== undefined) return stopped;
    if (thrown instanceof LatchkeyError) return thrown;
    const { name, timeoutSeconds } = this.#api;
    // It was sent, or may have been: whoever repeats it should know.
    const doubt = unsafe ? " It is not known whether the request took effect." : "";
    if (this.#silence.signal.aborted) return upstreamFailed(name, `The API "${name}" was silent for ${timeoutSeconds} s.${doubt}`);
    if (thrown instanceof TypeError && thrown.cause === undefined)
      return new LatchkeyError("invalid_request", "This request cannot be sent: its method, headers or body are not allowed.", {
        cause: thrown,
      });
    return upstreamFailed(name, `The API "${name}" could not be reached, or broke off its answer.${doubt}`, thrown);
  }
}

function cancelled(reason: unknown): LatchkeyError {
  return new LatchkeyError("cancelled", "The call was cancelled.", { cause: reason });
}

function upstreamFailed(api: string, message: string, cause?: unknown): LatchkeyError {
  return new LatchkeyError("upstream_failed", message, { retryable: true, details: { api }, cause });
}
