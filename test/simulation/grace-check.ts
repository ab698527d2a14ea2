import type { Conditions } from "./conditions.ts";
import type { LoginTruth } from "./login-truth.ts";

/** So many faults in a row close the gate of an authorization server; what is presented then comes later. */
const faultsThatCloseAGate = 5;
/** No answer asks for a longer rest in the simulation. */
const longestRestMs = 61_000;

/**
 * Whether something besides the first lost reply stood in the way of the presentations that a grace period allows: a
 * second fault on this very token, trouble of the store or of a process, an authorization server that was hit so often
 * that its gate may have been closed. The end of the process that presented first is that first fault itself.
 */
export function excusesWithinGrace(truth: LoginTruth, token: string | undefined, conditions: Conditions): boolean {
  if (token === undefined) return true;
  const { traits } = truth.server;
  const spentAt = truth.server.spentAt(token);
  const [first, ...others] = truth.presentationsOf(token);
  if (spentAt === undefined || traits.graceMs === undefined || first === undefined) return true;
  const end = spentAt + traits.graceMs;
  if (first.presented === undefined || others.some((each) => each.fault !== undefined && each.beganAt <= end)) return true;
  if (first.beganAt < spentAt - 1_000 && first.fault !== "too_slow_reply" && first.fault !== "slow_reply") return true;
  const own = first.process.isKilled ? first.process.name : undefined;
  if (conditions.wasTroubled(first.beganAt, end, own)) return true;
  return conditions.hitsBetween(traits.name, first.beganAt - longestRestMs, end) >= faultsThatCloseAGate;
}
