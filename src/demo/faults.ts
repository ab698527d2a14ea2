import type { Clock } from "../clock.ts";
import { LatchkeyError } from "../errors.ts";

const kinds = ["down", "503", "slow", "drop-reply", "drop-request"] as const;

/**
 * - `down`: every request's connection is cut without an answer
 * - `503`: every request is answered 503 with Retry-After
 * - `slow`: a token request is taken up late; nothing is lost unless the client gives up before
 * - `drop-reply`: a token request is carried out, rotation included, and its answer is lost
 * - `drop-request`: a token request is lost before it is carried out
 */
export type FaultKind = (typeof kinds)[number];

export interface FaultSettings {
  /** `none` takes all faults away. */
  readonly kind: FaultKind | "none";
  /** How long it lasts; default 60. */
  readonly seconds?: number | undefined;
  /** How many requests it hits at most; default: as many as come. */
  readonly count?: number | undefined;
  /** Only for `slow`; default 2. */
  readonly delaySeconds?: number | undefined;
}

export interface ActiveFault {
  readonly kind: FaultKind;
  /** ISO 8601. */
  readonly endsAt: string;
  readonly hits: number;
  /** How many more requests it hits; undefined: no limit. */
  readonly left?: number;
  readonly delaySeconds?: number;
}

/** What is to be done with one request. */
export type FaultPlan =
  | { readonly kind: "cut" }
  | { readonly kind: "unavailable"; readonly retryAfterSeconds: number }
  | { readonly kind: "serve"; readonly delayMs: number; readonly dropReply: boolean };

interface RunningFault {
  readonly endsAt: number;
  readonly delaySeconds: number;
  left: number;
  hits: number;
}

/** The faults that are switched on. One of each kind at a time; setting it again replaces it. */
export class Faults {
  readonly #clock: Clock;
  readonly #running = new Map<FaultKind, RunningFault>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws LatchkeyError `invalid_request` with all problems in `details.problems`. */
  set(settings: FaultSettings): void {
    const problems = findProblems({ ...settings });
    if (problems.length > 0) throw invalid(problems);
    if (settings.kind === "none") {
      this.#running.clear();
      return;
    }
    this.#running.set(settings.kind, {
      endsAt: this.#clock.now() + (settings.seconds ?? 60) * 1000,
      delaySeconds: settings.delaySeconds ?? 2,
      left: settings.count ?? Number.POSITIVE_INFINITY,
      hits: 0,
    });
  }

  active(): readonly ActiveFault[] {
    return kinds.flatMap((kind) => {
      const fault = this.#get(kind);
      if (fault === undefined) return [];
      return [
        {
          kind,
          endsAt: new Date(fault.endsAt).toISOString(),
          hits: fault.hits,
          ...(Number.isFinite(fault.left) ? { left: fault.left } : {}),
          ...(kind === "slow" ? { delaySeconds: fault.delaySeconds } : {}),
        },
      ];
    });
  }

  /** Decides about one request and counts it. Only `down` and `503` hit other endpoints than the token endpoint. */
  plan(endpoint: "token" | "other"): FaultPlan {
    if (this.#hit("down")) return { kind: "cut" };
    const unavailable = this.#hit("503");
    if (unavailable) {
      const leftSeconds = Math.ceil((unavailable.endsAt - this.#clock.now()) / 1000);
      return { kind: "unavailable", retryAfterSeconds: Math.min(5, Math.max(1, leftSeconds)) };
    }
    if (endpoint === "other") return { kind: "serve", delayMs: 0, dropReply: false };
    if (this.#hit("drop-request")) return { kind: "cut" };
    const slow = this.#hit("slow");
    return { kind: "serve", delayMs: (slow?.delaySeconds ?? 0) * 1000, dropReply: this.#hit("drop-reply") !== undefined };
  }

  #hit(kind: FaultKind): RunningFault | undefined {
    const fault = this.#get(kind);
    if (fault === undefined) return undefined;
    fault.left -= 1;
    fault.hits += 1;
    return fault;
  }

  #get(kind: FaultKind): RunningFault | undefined {
    const fault = this.#running.get(kind);
    if (fault === undefined) return undefined;
    if (fault.left > 0 && fault.endsAt > this.#clock.now()) return fault;
    this.#running.delete(kind);
    return undefined;
  }
}

/** Settings out of a foreign value. Throws LatchkeyError `invalid_request` with all problems in `details.problems`. */
export function parseFaultSettings(value: unknown): FaultSettings {
  if (!isObject(value)) throw invalid(['the body must be a JSON object like {"kind":"503","seconds":60,"count":3}']);
  const problems = findProblems(value);
  const kind = value.kind;
  if (problems.length > 0 || !isKind(kind)) throw invalid(problems);
  return { kind, seconds: numberOf(value.seconds), count: numberOf(value.count), delaySeconds: numberOf(value.delaySeconds) };
}

function findProblems(value: Readonly<Record<string, unknown>>): string[] {
  const { kind, seconds, count, delaySeconds, ...unknown } = value;
  const problems: string[] = [];
  if (!isKind(kind)) problems.push(`kind must be one of ${[...kinds, "none"].join(", ")}`);
  if (seconds !== undefined && !inRange(seconds, 86_400)) problems.push("seconds must be a number above 0, at most 86400");
  if (count !== undefined && !(Number.isInteger(count) && inRange(count, 1_000_000)))
    problems.push("count must be a whole number from 1 to 1000000");
  if (delaySeconds !== undefined && !inRange(delaySeconds, 300)) problems.push("delaySeconds must be a number above 0, at most 300");
  if (delaySeconds !== undefined && kind !== "slow") problems.push("delaySeconds goes with kind slow only");
  for (const name of Object.keys(unknown))
    problems.push(`${JSON.stringify(name.slice(0, 40))} is not known; there are kind, seconds, count, delaySeconds`);
  return problems;
}

function invalid(problems: readonly string[]): LatchkeyError {
  return new LatchkeyError("invalid_request", `The fault was not set: ${problems.join("; ")}.`, { details: { problems } });
}

function isKind(value: unknown): value is FaultKind | "none" {
  return value === "none" || kinds.some((kind) => kind === value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function inRange(value: unknown, most: number): boolean {
  return typeof value === "number" && value > 0 && value <= most;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
