import { LatchkeyError } from "../errors.ts";
import type { LoginSession, LoginSessionState } from "./login-session.ts";

/** Which state may follow which. A record that stays in its state (a settled field, a paid debt) is always allowed. */
const allowed: Readonly<Record<LoginSessionState, readonly LoginSessionState[]>> = {
  // Straight to uncertain: the store was put back from a backup, and the refresh token may be spent.
  live: ["refreshing", "uncertain", "login_required", "ended"],
  refreshing: ["live", "uncertain", "login_required", "ended"],
  uncertain: ["refreshing", "live", "login_required", "ended"],
  login_required: ["live", "ended"],
  ended: [],
};

/**
 * Checks that `next` may replace `current`: the version grows by one, the identity stays, the generation and the epoch
 * never fall (I3), `ended` is final, and `login_required` is left only by a new epoch or by the answer that was lost
 * (I11). Throws LatchkeyError `internal_error`; nothing has been written then.
 */
export function assertTransition(current: LoginSession, next: LoginSession): void {
  const problem = findProblem(current, next);
  if (problem === undefined) return;
  throw new LatchkeyError("internal_error", `The login session ${current.handle} cannot change like this: ${problem}.`);
}

function findProblem(current: LoginSession, next: LoginSession): string | undefined {
  if (next.version !== current.version + 1) return `version ${current.version} cannot be followed by ${next.version}`;
  if (next.id !== current.id || next.handle !== current.handle) return "its id changed";
  if (
    next.principal.issuer !== current.principal.issuer ||
    next.principal.subject !== current.principal.subject ||
    next.principal.clientId !== current.principal.clientId
  )
    return "its principal changed";
  if (next.generation < current.generation) return `generation ${current.generation} fell to ${next.generation}`;
  if (next.epoch < current.epoch) return `epoch ${current.epoch} fell to ${next.epoch}`;
  if (next.state === current.state) return sameStateProblem(current, next);
  if (!allowed[current.state].includes(next.state)) return `${current.state} cannot become ${next.state}`;
  if (current.state === "login_required" && next.state === "live") return reviveProblem(current, next);
  return servingProblem(next);
}

function sameStateProblem(current: LoginSession, next: LoginSession): string | undefined {
  if (next.epoch === current.epoch && next.generation !== current.generation) return "a generation grew without a claim";
  return servingProblem(next);
}

function reviveProblem(current: LoginSession, next: LoginSession): string | undefined {
  if (next.epoch === current.epoch + 1) return servingProblem(next);
  if (current.reason?.code === "lost_reply" && next.epoch === current.epoch && next.generation > current.generation)
    return servingProblem(next);
  return "login_required is left only by a new sign-in, or by the answer that was lost";
}

function servingProblem(next: LoginSession): string | undefined {
  const silent = next.state === "login_required" || next.state === "ended";
  if (silent && next.accessTokens.length > 0) return `${next.state} holds an access token`;
  if (silent && next.refreshToken !== undefined) return `${next.state} holds a refresh token`;
  if (silent && next.reason === undefined) return `${next.state} has no reason`;
  if (silent) return undefined;
  if (next.accessTokens.length === 0 || next.refreshToken === undefined) return `${next.state} holds half a snapshot`;
  if (next.reason !== undefined) return `${next.state} has a reason for being over`;
  if (next.state === "refreshing" && next.attempts.every((attempt) => attempt.lost)) return "refreshing has no attempt under way";
  return undefined;
}
