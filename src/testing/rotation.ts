import type { Clock } from "../clock.ts";
import type { Plan } from "./behaviour-rules.ts";
import type { LedgerBook, PresentedAs, RefreshOutcome } from "./ledger.ts";
import type { RefreshTokenRecord, TokenFamilies } from "./token-families.ts";

/** What became of a presented refresh token. */
export type Rotation =
  | {
      readonly kind: "accepted";
      readonly outcome: Extract<RefreshOutcome, "rotated" | "kept" | "replayed">;
      readonly presentedAs: PresentedAs;
      readonly record: RefreshTokenRecord;
      /** False: the reply leaves the refresh token out. */
      readonly inReply: boolean;
    }
  | {
      readonly kind: "refused";
      readonly outcome: Extract<RefreshOutcome, "reuse" | "refused">;
      readonly presentedAs: PresentedAs;
      readonly error: string;
    };

/** When a refresh token that is issued now ends, in ms since the epoch. */
export function refreshTokenExpiry(plan: Plan, startedAt: number, now: number): number {
  const life = plan.get("refresh_token_life");
  if (life === undefined) return Number.POSITIVE_INFINITY;
  return (life.mode === "absolute" ? startedAt : now) + life.seconds * 1000;
}

/** Carries out one presentation of a refresh token by the client that it belongs to. */
export class Rotations {
  readonly #families: TokenFamilies;
  readonly #ledger: LedgerBook;
  readonly #clock: Clock;

  constructor(families: TokenFamilies, ledger: LedgerBook, clock: Clock) {
    this.#families = families;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  present(token: string, clientId: string, plan: Plan): Rotation {
    const now = this.#clock.now();
    const record = this.#families.findRefreshToken(token);
    if (record === undefined || record.family.clientId !== clientId) return refused("unknown");
    const { family } = record;
    if (family.ended !== undefined) return refused("revoked");
    if (record.consumedAt !== undefined) return this.#again(record, record.consumedAt, plan);
    if (now >= record.expiresAt) return refused("expired");
    const early = plan.get("early_refresh_refused");
    if (early !== undefined && now - family.newest.issuedAt < early.untilShare * family.newest.lifeMs)
      return { kind: "refused", outcome: "refused", presentedAs: "current", error: early.error ?? "invalid_request" };
    if (keeps(record, plan, now)) {
      record.expiresAt = Math.max(record.expiresAt, slid(plan, family.startedAt, now));
      const inReply = plan.rotation.kind !== "no_rotation" || plan.rotation.reply === "same_token";
      return { kind: "accepted", outcome: "kept", presentedAs: "current", record, inReply };
    }
    record.consumedAt = now;
    const successor = this.#families.addRefreshToken(family, refreshTokenExpiry(plan, family.startedAt, now));
    record.successor = successor;
    return { kind: "accepted", outcome: "rotated", presentedAs: "current", record: successor, inReply: true };
  }

  /** A refresh token that was used before. */
  #again(record: RefreshTokenRecord, consumedAt: number, plan: Plan): Rotation {
    const now = this.#clock.now();
    const { family, successor } = record;
    const { rotation } = plan;
    if (rotation.kind === "grace_rotation" && now <= consumedAt + rotation.seconds * 1000) {
      const again = rotation.answer === "same_successor" ? successor : undefined;
      const child = again ?? this.#families.addRefreshToken(family, refreshTokenExpiry(plan, family.startedAt, now));
      return { kind: "accepted", outcome: "replayed", presentedAs: "consumed", record: child, inReply: true };
    }
    this.#ledger.recordReuse({ at: now, family: family.name, generation: record.generation });
    this.#families.end(family, "reuse");
    return { kind: "refused", outcome: "reuse", presentedAs: "consumed", error: "invalid_grant" };
  }
}

function keeps(record: RefreshTokenRecord, { rotation }: Plan, now: number): boolean {
  if (rotation.kind === "no_rotation") return true;
  if (rotation.kind !== "late_rotation") return false;
  return now - record.issuedAt < rotation.afterShare * (record.expiresAt - record.issuedAt);
}

/** A life that slides goes on with a refresh token that stays; an absolute one, or none, changes nothing. */
function slid(plan: Plan, startedAt: number, now: number): number {
  return plan.get("refresh_token_life")?.mode === "sliding" && plan.rotation.kind !== "late_rotation"
    ? refreshTokenExpiry(plan, startedAt, now)
    : 0;
}

function refused(presentedAs: PresentedAs): Rotation {
  return { kind: "refused", outcome: "refused", presentedAs, error: "invalid_grant" };
}
