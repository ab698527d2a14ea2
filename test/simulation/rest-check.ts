import type { LoginTruth } from "./login-truth.ts";
import { worldBegin } from "./simulated-process.ts";
import type { World } from "./world.ts";

/** A revocation is tried again after this time at the latest. */
const settledMs = 6 * 60_000;

/** What must hold an hour after the last fault: nothing hangs, and what is live can really be refreshed (I4, I12, I15). */
export function checkAtRest({ records, findings, scheduler }: World): void {
  for (const truth of records.truths.values()) {
    const { record, server } = truth;
    const what = `login ${truth.number} at ${server.traits.name}`;
    // Its server says neither that the token is dead nor anything else: a lasting refusal takes others that are served.
    const isSilentlyDead = server.traits.deadAnswer === "empty_400" && server.truthOf(record.refreshToken) !== "accepted";
    if (record.state === "uncertain" && !isSilentlyDead) findings.violate("I15", `${what} is still uncertain`);
    const open = record.state === "refreshing" ? truth.claims.at(-1) : undefined;
    if (open !== undefined && scheduler.now > open.at + open.limitMs + 5_000) findings.violate("I15", `${what} is still refreshing`);
    if (record.pending !== undefined && record.pending.verificationTries > 0)
      findings.violate("I15", `${what} still holds a reply that is not verified`);
    if (
      record.state === "live" &&
      !isSilentlyDead &&
      !isFoundOutLater(truth, worldBegin + scheduler.now) &&
      server.truthOf(record.refreshToken) !== "accepted"
    )
      findings.violate("I4", `${what} is live, but its refresh token is ${server.truthOf(record.refreshToken)}`);
    if (truth.owedBack && record.state === "login_required")
      findings.violate("I4", `${what} is given up for a lost reply, which a living process had in hand`);
    // Who has signed out just now may still owe.
    const endedAt = truth.deadSince?.at ?? 0;
    if (scheduler.now - endedAt < settledMs) continue;
    if (record.state === "ended" && record.debts.length > 0) findings.violate("I12", `${what} has ended and still owes a revocation`);
    const token = truth.claims.at(-1)?.token;
    const isOwed = record.state === "ended" && server.traits.revocation === "works";
    if (isOwed && token !== undefined && truth.claims.at(-1)?.epoch === record.epoch && server.isGrantAlive(token))
      findings.violate("I12", `${what} has ended and owes nothing, but its grant is alive`);
  }
}

/** What must hold when everybody has left and every limit has passed: nothing of it is remembered anywhere (I16). */
export function checkBaseline({ store, replicas, findings, records }: World): void {
  for (const [name, size] of Object.entries(store.inner.sizes()))
    if (name !== "listeners" && size !== 0) findings.violate("I16", `the store still holds ${size} ${name}`);
  for (const replica of replicas) {
    const { name, timers } = replica.process;
    // The heartbeat's.
    if (timers > 1) findings.violate("I16", `${name} still has ${timers} timers`);
    for (const [what, size] of Object.entries(replica.sizes()))
      if (size !== 0) findings.violate("I16", `${name} still holds ${size} of ${what}`);
  }
  if (records.truths.size > 0) findings.violate("I16", `${records.truths.size} login sessions were never removed`);
}

/** Nothing can keep a refresh token of absolute life alive. That it is over is found out at the next refresh, which must lie ahead. */
function isFoundOutLater({ record, server }: LoginTruth, now: number): boolean {
  if (server.traits.refreshToken?.counts !== "absolute" || server.truthOf(record.refreshToken) !== "expired") return false;
  return record.nextDueAt !== undefined && record.nextDueAt > now;
}
