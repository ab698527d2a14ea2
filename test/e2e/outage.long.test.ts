import { describe, expect, test } from "vitest";
import { httpTransports, type ToolAnswer } from "../support/e2e-clients.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { eventually, nothingHappensFor, untilTime } from "../support/e2e-wait.ts";
import { World } from "../support/e2e-world.ts";

interface Call {
  readonly at: number;
  readonly user: string;
  readonly answer: ToolAnswer;
}

describe("an authorization server that is stopped for 60 s and started again", () => {
  test("with 30 s tokens: no call fails while its token lasts, the rest are told to come back, all recover (S6, I10, F6)", {
    timeout: 240_000,
  }, async ({ onTestFinished, annotate }) => {
    const world = await World.start(onTestFinished, { accessTokenSeconds: 30 });
    const users = await Promise.all(Array.from({ length: 10 }, (_, index) => world.signIn(`user-${index}`)));
    const clients = await Promise.all(
      users.flatMap(({ name, key }) => httpTransports.map(async (kind) => ({ name, client: await world.connect(kind, { key }) }))),
    );
    await eventually("everybody was refreshed", () => users.every(({ name }) => world.refreshes(name) >= 1), 40_000);
    const calls: Call[] = [];
    let going = true;
    const caller = async ({ name, client }: (typeof clients)[number]): Promise<void> => {
      for (let next = Date.now(); going; next += 1000) {
        await untilTime(next);
        const at = Date.now();
        calls.push({ at, user: name, answer: await client.call("list_notes") });
      }
    };
    const calling = Promise.all(clients.map(caller));
    await nothingHappensFor(2);
    const ends = new Map(
      await Promise.all(
        users.map(async ({ name, handle }) => [name, (await world.record(handle)).accessTokens[0]?.expiresAt ?? 0] as const),
      ),
    );
    const stoppedAt = Date.now();
    await world.authorizationServer.pause();
    await nothingHappensFor(60);
    await world.authorizationServer.resume();
    const resumedAt = Date.now();
    const recovered = (): boolean =>
      clients.every(({ name }) => calls.some((call) => call.user === name && call.at > resumedAt && !call.answer.isError));
    await eventually("everybody is served again", recovered, 60_000);
    const recoverySeconds = (Date.now() - resumedAt) / 1000;
    await nothingHappensFor(3);
    going = false;
    await calling;

    const failed = calls.filter(({ answer }) => answer.isError);
    // The API reads whole seconds in a token, so that it may end up to one second before it was counted to.
    expect(failed.filter(({ at, user }) => at < (ends.get(user) ?? 0) - 1_100)).toEqual([]);
    expect(failed.length).toBeGreaterThan(clients.length * 20);
    // A call that waits for the probe of the server may run out of its time: that is retryable, too.
    const typed: readonly unknown[] = ["authorization_server_unavailable", "refresh_timeout"];
    const others = failed.filter(({ answer: { error } }) => !typed.includes(error?.code) || error?.retryable !== true);
    expect(others.map(({ at, user, answer }) => `${(at - resumedAt) / 1000} s after the start, ${user}: ${answer.text}`)).toEqual([]);
    expect(calls.filter(({ at, answer }) => at > stoppedAt && !answer.isError).length).toBeGreaterThan(clients.length * 5);
    expect(failed.filter(({ at }) => at > resumedAt + recoverySeconds * 1000)).toEqual([]);
    expect(world.audit("login_required")).toEqual([]);
    expect(world.events().filter(({ kind }) => kind === "issued")).toHaveLength(users.length + 2);
    expect(findHistoryFaults(world.events())).toEqual([]);
    await annotate(JSON.stringify({ calls: calls.length, failed: failed.length, recoverySeconds }));
  });
});
