import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Discovered } from "./discovery.ts";
import type { Metadata } from "./metadata.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import type { Failure } from "./unavailable.ts";

/** The metadata of an authorization server, or why there are none. */
export type Looked = { readonly kind: "found"; readonly metadata: Metadata } | { readonly kind: "unavailable"; readonly failure: Failure };

const freshForMs = 3600_000;
const fromSettingsFreshForMs = 60_000;
/** Doubts about the endpoints bring no more than one look each half minute. */
const doubtIntervalMs = 30_000;
/** Anybody can ask for the readiness that this tells: not each time another request. */
const checkReuseMs = 5_000;
const firstBackoffMs = 500;
const longestBackoffMs = 8_000;

/**
 * The metadata of one authorization server: fetched at first use, once for all who ask at the same time, and again every
 * hour or on doubt. What is known stays in use while a newer look is under way or fails. While nothing is known, a failure
 * is remembered for a short time that doubles up to 8 s, so that an outage brings no storm.
 */
export class DiscoveryCache {
  readonly #settings: AuthorizationServerSettings;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #discover: () => Promise<Discovered>;
  #known: Metadata | undefined;
  #freshUntil = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #lastFailure: Failure | undefined;
  #failures = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #flight: Promise<Failure | undefined> | undefined;

  constructor(settings: AuthorizationServerSettings, clock: Clock, logger: Logger, discover: () => Promise<Discovered>) {
    this.#settings = settings;
    this.#clock = clock;
    this.#logger = logger;
    this.#discover = discover;
  }

  /** The metadata as they are known, fetched first if they are not; or why that failed. Never rejects. */
  async look(): Promise<Looked> {
    const now = this.#clock.monotonic();
    if (this.#known !== undefined) {
      if (now >= this.#freshUntil && now >= this.#notBefore) void this.#fetch();
      return { kind: "found", metadata: this.#known };
    }
    // A failure a moment ago: the same answer, without another request.
    const failure = now < this.#notBefore ? this.#lastFailure : await this.#fetch();
    if (this.#known !== undefined) return { kind: "found", metadata: this.#known };
    return { kind: "unavailable", failure: failure ?? { problem: "its discovery did not finish" } };
  }

  /** An endpoint or a key was not where the metadata say: look again at the next use. */
  doubt(): void {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt >= doubtIntervalMs) this.#freshUntil = Math.min(this.#freshUntil, now);
  }

  /** Whether a fetch works now, whatever is known: gives the failure, if it is one. A result of the last five seconds counts as now. */
  async check(): Promise<Failure | undefined> {
    if (this.#clock.monotonic() - this.#lookedAt < checkReuseMs) return this.#lastFailure;
    return await this.#fetch();
  }

  #fetch(): Promise<Failure | undefined> {
    this.#flight ??= this.#fetchOnce().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #fetchOnce(): Promise<Failure | undefined> {
    const found = await this.#discover();
    const now = this.#clock.monotonic();
    this.#lookedAt = now;
    this.#note(found.kind === "discovered" ? undefined : found.failure);
    switch (found.kind) {
      case "discovered":
        this.#keep(found.metadata, now + freshForMs);
        return undefined;
      case "from_settings":
        this.#keep(this.#known ?? found.metadata, now + fromSettingsFreshForMs);
        return found.failure;
      case "failed":
        this.#notBefore = now + Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(this.#failures, 10));
        this.#failures += 1;
        return found.failure;
    }
  }

  #keep(metadata: Metadata, freshUntil: number): void {
    this.#known = metadata;
    this.#freshUntil = freshUntil;
    this.#failures = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** One line when it begins to fail, one for each new reason, one when it works again: not one for each try. */
  #note(failure: Failure | undefined): void {
    const fields = { authorizationServer: this.#settings.name, issuer: this.#settings.issuer };
    const before = this.#lastFailure;
    this.#lastFailure = failure;
    if (failure === undefined) {
      if (before !== undefined) this.#logger.info("Discovery of an authorization server works again", fields);
    } else if (failure.problem !== before?.problem)
      this.#logger.warn("Discovery of an authorization server failed", { ...fields, problem: failure.problem });
  }
}
