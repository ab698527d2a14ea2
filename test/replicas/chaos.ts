import type { RefreshEntry } from "../../src/testing/index.ts";
import type { Fields } from "../support/e2e-json.ts";
import type { Fleet, FleetUser, Replica } from "./fleet.ts";

export interface ChaosOptions {
  readonly seconds: number;
  /** How long on average until the next kill. */
  readonly killEverySeconds: number;
  /** How many clients call tools all the time. */
  readonly callers: number;
  readonly random: () => number;
}

/** What the callers saw. */
export interface CallCounts {
  answered: number;
  /** Broken since their replica was killed. */
  broken: number;
  /** Told to try again: a refresh had been claimed by a replica that was killed, and nobody else may present until its time is over. */
  toldToWait: number;
  /** A login that had been lost. */
  loginRequired: number;
  /** Anything else: there must be none. */
  readonly wrong: string[];
}

/** Kills and restarts replicas at random, while callers call on all of them. */
export async function runChaos(fleet: Fleet, { seconds, killEverySeconds, callers, random }: ChaosOptions): Promise<CallCounts> {
  const counts: CallCounts = { answered: 0, broken: 0, toldToWait: 0, loginRequired: 0, wrong: [] };
  const endsAt = Date.now() + seconds * 1000;
  const isOver = (): boolean => Date.now() >= endsAt;
  const killer = async (): Promise<void> => {
    while (!isOver()) {
      await pause(Math.min(2 * random() * killEverySeconds * 1000, Math.max(0, endsAt - Date.now())));
      const up = fleet.replicas.filter((replica) => replica.isUp);
      const victim = pick(up, random);
      if (victim === undefined || isOver()) continue;
      await victim.kill();
      await victim.start();
    }
  };
  const caller = async (): Promise<void> => {
    while (!isOver()) {
      const user = pick(fleet.users, random);
      const replica = pick(
        fleet.replicas.filter((each) => each.isUp),
        random,
      );
      if (user === undefined || replica === undefined) await pause(20);
      else await callOnce(user, replica, fleet, counts);
      await pause(5);
    }
  };
  await Promise.all([killer(), ...Array.from({ length: callers }, caller)]);
  return counts;
}

/** A claim of a killed replica stands for its attempt limit and the time to settle, 25 s at most. */
const longestClaimMs = 25_000;

async function callOnce(user: FleetUser, replica: Replica, fleet: Fleet, counts: CallCounts): Promise<void> {
  const { program } = replica;
  const outcome = await replica.me(user);
  const wasKilled = replica.program !== program;
  switch (outcome.kind) {
    case "answer":
      if (outcome.structured["sub"] === user.subject) counts.answered += 1;
      else counts.wrong.push(`${user.subject} was answered as ${JSON.stringify(outcome.structured)}`);
      return;
    case "tool_error":
      if (outcome.code === "login_required") counts.loginRequired += 1;
      else if (outcome.code === "refresh_timeout" && wasSomebodyKilled(fleet)) counts.toldToWait += 1;
      else counts.wrong.push(`${user.subject}: ${outcome.text}`);
      return;
    case "http_error":
    case "broken":
      if (wasKilled) counts.broken += 1;
      else
        counts.wrong.push(
          `${user.subject} at ${replica.name}: ${outcome.kind === "broken" ? String(outcome.error) : `${outcome.status} ${outcome.text}`}`,
        );
  }
}

function wasSomebodyKilled(fleet: Fleet): boolean {
  return fleet.replicas.some(({ kills }) => kills.some((at) => Date.now() - at < longestClaimMs));
}

/** What is wrong with the presentations: each generation once, but for requests that the server never carried out. */
export function presentationProblems(refreshes: readonly RefreshEntry[]): readonly string[] {
  const seen = new Map<string, number>();
  const problems: string[] = [];
  for (const { family, generation, presentedAs, outcome } of refreshes) {
    if (presentedAs === undefined) continue;
    const which = `${family} generation ${generation}`;
    const times = (seen.get(which) ?? 0) + 1;
    seen.set(which, times);
    if (times > 1) problems.push(`${which} was presented ${times} times`);
    if (presentedAs !== "current" || outcome !== "rotated") problems.push(`${which} was presented as ${presentedAs}: ${outcome}`);
  }
  return problems;
}

/** What is wrong with a lost login: its last rotation must have happened around a kill, since only then its reply may have reached nobody. */
export function lossProblem(fleet: Fleet, user: FleetUser, session: Fields): string | undefined {
  if (session["state"] !== "login_required" || session["reason"] !== "lost_reply")
    return `${user.subject} is ${String(session["state"])} (${String(session["reason"])})`;
  const last = fleet.server.ledger.refreshes.findLast((entry) => entry.family === user.family && entry.outcome === "rotated");
  const kills = fleet.replicas.flatMap((replica) => replica.kills);
  if (last !== undefined && kills.some((at) => at >= last.receivedAt - 50 && at - last.receivedAt < 5_000)) return undefined;
  const later = kills.filter((at) => last !== undefined && at > last.receivedAt).map((at) => at - (last?.receivedAt ?? 0));
  return [
    `${user.subject} was lost after ${JSON.stringify(last)}, and nobody was killed then: the next kill came ${Math.min(...later)} ms later.`,
    ...fleet.replicas.flatMap((replica) => replica.linesAbout(user.handle)),
  ].join("\n");
}

function pick<T>(list: readonly T[], random: () => number): T | undefined {
  return list[Math.floor(random() * list.length)];
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
