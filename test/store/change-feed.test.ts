import { expect, test } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import type { LoginSessionChange } from "../../src/session/store.ts";
import { ChangeFeed } from "../../src/store/change-feed.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("a look that was woken is over before the next one begins, so that no change is told twice", async () => {
  const clock = new ManualClock();
  const answers: ((news: readonly LoginSessionChange[]) => void)[] = [];
  const news = () => new Promise<readonly LoginSessionChange[]>((resolve) => answers.push(resolve));
  const feed = new ChangeFeed({ news, pollMs: 500, clock, logger: silentLogger });
  const told: LoginSessionChange[] = [];
  feed.subscribe((change) => void told.push(change));
  feed.wake();
  // The time of the regular look comes while the first one still waits for its answer.
  await clock.advance(600);
  expect(answers).toHaveLength(1);
  answers[0]?.([{ id: "id-a" as LoginSessionId, version: 1 }]);
  await clock.advance(0);
  expect(answers).toHaveLength(2);
  answers[1]?.([]);
  await clock.advance(0);
  expect(told).toHaveLength(1);
  feed.close();
});

test("an outage is said once, and its end; changes are told from then on", async () => {
  const clock = new ManualClock();
  const said: string[] = [];
  const logger: Logger = { ...silentLogger, warn: () => void said.push("warn"), info: () => void said.push("info") };
  let isAway = true;
  const news = async (): Promise<readonly LoginSessionChange[]> => {
    if (isAway) throw new Error("away");
    return [{ id: "id-a" as LoginSessionId, version: 1 }];
  };
  const feed = new ChangeFeed({ news, pollMs: 500, clock, logger });
  const told: LoginSessionChange[] = [];
  feed.subscribe((change) => void told.push(change));
  await clock.advance(5_000);
  expect(said).toEqual(["warn"]);
  isAway = false;
  await clock.advance(1_000);
  expect(said).toEqual(["warn", "info"]);
  expect(told.length).toBeGreaterThan(0);
  isAway = true;
  await clock.advance(2_000);
  expect(said).toEqual(["warn", "info", "warn"]);
  feed.close();
});
