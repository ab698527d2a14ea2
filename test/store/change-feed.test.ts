import { expect, test } from "vitest";
import { silentLogger } from "../../src/logger.ts";
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
