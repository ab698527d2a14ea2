import { describe, expect, test } from "vitest";
import type { Fields } from "../support/e2e-json.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { lossProblem, presentationProblems, runChaos } from "./chaos.ts";
import { Fleet } from "./fleet.ts";
import { sharedStoreKinds } from "./shared-stores.ts";

const minutes = Number(process.env["LATCHKEY_SOAK_MINUTES"] ?? "1");
const isFull = minutes >= 10;
const users = isFull ? 1_000 : 100;
const accessTokenSeconds = isFull ? 30 : 12;
const seed = Number(process.env["LATCHKEY_SEED"] ?? "20261125");

/** Longer than an access token lives: each login session has been due once more by then. */
const settleSeconds = 1.5 * accessTokenSeconds;

/** A killed replica's claim stands for 25 s at most, and what follows a loss is asked after it, by users in a queue. */
const decidedWithinMs = 120_000;

const isDecided = (session: Fields): boolean => session["state"] === "live" || session["state"] === "login_required";

describe.each(sharedStoreKinds)("three replicas on one store: $name", (kind) => {
  test(
    `random kill -9 for ${minutes} min, ${users} users, ${accessTokenSeconds} s tokens: no reuse, and lost are exactly those whose reply reached nobody (I1, I4, F2, F7)`,
    async ({ onTestFinished, skip }) => {
      const missing = await kind.missing();
      skip(missing !== undefined, missing);
      const fleet = await Fleet.start(onTestFinished, kind, { replicas: 3, accessTokenSeconds });
      await fleet.signInMany(users);
      const counts = await runChaos(fleet, { seconds: minutes * 60, killEverySeconds: 3, callers: 12, random: seededRandom(seed) });
      await new Promise((resolve) => setTimeout(resolve, settleSeconds * 1000));
      await fleet.server.settled();
      const { ledger } = fleet.server;
      const kills = fleet.replicas.flatMap((replica) => replica.kills);
      const sessions = await Promise.all(
        fleet.users.map(async (user) => ({ user, session: await fleet.sessionWhen(user, "decided", isDecided, decidedWithinMs) })),
      );
      const lost = sessions.filter(({ session }) => session["state"] !== "live");
      process.stdout.write(
        `${kind.name}: ${kills.length} kills, ${ledger.refreshes.length} presentations, ${counts.answered} calls answered, ${counts.broken} broken by a kill, ${counts.toldToWait} told to wait, ${lost.length} logins lost\n`,
      );
      expect(ledger.reuseEvents).toEqual([]);
      expect(presentationProblems(ledger.refreshes)).toEqual([]);
      expect(counts.wrong).toEqual([]);
      expect(lost.flatMap(({ user, session }) => lossProblem(fleet, user, session) ?? [])).toEqual([]);
      expect(ledger.families.filter(({ ended }) => ended !== undefined)).toEqual([]);
      expect(counts.answered).toBeGreaterThan(users);
      expect(counts.toldToWait).toBeLessThan(counts.answered / 50);
      // Whoever was not lost is served by each replica.
      const kept = sessions.filter(({ session }) => session["state"] === "live").slice(0, 20);
      for (const { user } of kept)
        for (const replica of fleet.replicas)
          expect(await replica.me(user)).toMatchObject({ kind: "answer", structured: { sub: user.subject } });
    },
    (minutes + 6) * 60_000,
  );
});
