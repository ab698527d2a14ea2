import { expect, it } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import { applyOutcome } from "../../src/token/apply-change.ts";
import { hookedStore, storeAway } from "../support/hooked-store.ts";
import { makeBench, makeReplica } from "../support/token-bench.ts";

it("says once that an outcome is not stored, to who asked and in the log, however often it is tried again (I4)", async () => {
  const { clock, server, store } = makeBench();
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (message) => void errors.push(message) };
  let failures = 0;
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => {
      if (operation === "commit" && failures-- > 0) throw storeAway();
    },
  });
  const one = makeReplica({ clock, server, store, loginSessions, logger });
  const record = await one.logins.start(server.signIn("alice"), { kind: "demo" });
  let refusals = 0;
  const outcome = (): Promise<unknown> =>
    applyOutcome(
      one.core,
      record.id,
      (current) => ({ ...current, version: current.version + 1 }),
      () => {
        refusals += 1;
      },
    );
  await outcome();
  expect([refusals, errors.length]).toEqual([0, 0]);
  failures = 3;
  const stored = outcome();
  await clock.advance(60_000);
  await stored;
  expect([refusals, errors.length]).toEqual([1, 1]);
});
