import { describe, expect, it } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { KeptReply, ReplyJournal } from "../../src/session/reply-journal.ts";
import { JournalReplay } from "../../src/token/journal-replay.ts";
import { aLoginSession, openAttempt } from "../session/records.ts";
import { hookedStore } from "../support/hooked-store.ts";
import { Hold, makeBench, makeReplica } from "../support/token-bench.ts";

const body = JSON.stringify({ access_token: "at-kept", refresh_token: "rt-kept" });

/** A journal that hands out what is `left`, and a login session whose reply it may be. */
async function makeWorld() {
  const bench = makeBench();
  const { clock, server, store } = bench;
  const left: KeptReply[] = [];
  const looks = { made: 0 };
  const errors: string[] = [];
  const journal: ReplyJournal = {
    keeps: "when_refused",
    keep: async () => {},
    settle: async () => {},
    adopt: async () => {
      looks.made += 1;
      return left.splice(0);
    },
    close: async () => {},
  };
  const gets = new Hold();
  gets.on = false;
  const loginSessions = hookedStore(store.loginSessions, {
    before: (operation) => (operation === "get" ? gets.wait() : undefined),
  });
  const logger: Logger = { ...silentLogger, error: (message) => void errors.push(message) };
  const one = makeReplica({ clock, server, store, loginSessions, journal, logger });
  const now = clock.now();
  const record = aLoginSession("a", {
    createdAt: now,
    lastUsedAt: now,
    state: "refreshing",
    attempts: [{ ...openAttempt, claimedAt: now, deadline: now + 7_500 }],
  });
  await store.loginSessions.insert(record);
  const { id, authorizationServer, principal } = record;
  const kept: KeptReply = {
    kind: "reply",
    id: openAttempt.id,
    loginSession: { id, authorizationServer, principal },
    attempt: openAttempt,
    sentAt: now,
    receivedAt: now,
    body,
  };
  const found = () => one.events.filter(({ event }) => event === "kept_reply_found");
  return { ...bench, one, record, kept, left, looks, errors, gets, found, replay: new JournalReplay(one.core, one.imports) };
}

describe("replies that other processes have kept", () => {
  it("are looked for at the start and every two seconds, until it stops (F8)", async () => {
    const { clock, looks, left, kept, replay, store, record, found } = await makeWorld();
    await replay.start();
    expect(looks.made).toBe(1);
    await clock.advance(1_999);
    expect(looks.made).toBe(1);
    left.push(kept);
    await clock.advance(1);
    expect(looks.made).toBe(2);
    expect(await store.loginSessions.get(record.id)).toMatchObject({ pending: { attemptId: openAttempt.id, body } });
    expect(found()).toEqual([{ event: "kept_reply_found", login: record.handle, generation: 1, outcome: "keep" }]);
    await clock.advance(2_000);
    expect(looks.made).toBe(3);
    replay.stop();
    await clock.advance(60_000);
    expect(looks.made).toBe(3);
    expect(clock.pending).toBe(0);
  });

  it("are in the store before the start is over", async () => {
    const { clock, left, kept, replay, store, record } = await makeWorld();
    left.push(kept);
    await replay.start();
    expect(await store.loginSessions.get(record.id)).toMatchObject({ pending: { body } });
    replay.stop();
    expect(clock.pending).toBe(0);
  });

  it("hold up the start for five seconds at most", async () => {
    const { clock, left, kept, replay, gets } = await makeWorld();
    left.push(kept);
    gets.on = true;
    const state = { started: false };
    void replay.start().then(() => {
      state.started = true;
    });
    await clock.advance(4_999);
    expect(state.started).toBe(false);
    await clock.advance(1);
    expect(state.started).toBe(true);
    replay.stop();
    gets.open();
  });

  it("are looked for no more when it was stopped before the start was over", async () => {
    const { clock, looks, replay } = await makeWorld();
    const starting = replay.start();
    replay.stop();
    await starting;
    expect(clock.pending).toBe(0);
    await clock.advance(10_000);
    expect(looks.made).toBe(1);
  });

  it("stay kept where one cannot be brought there, which is said in the log; the others are brought there", async () => {
    const { left, kept, replay, errors, found, record } = await makeWorld();
    left.push(kept);
    const other = { ...kept, loginSession: { ...kept.loginSession, authorizationServer: "gone", id: "id-gone" as typeof record.id } };
    left.unshift(other);
    await replay.start();
    expect(errors).toHaveLength(1);
    expect(found()).toMatchObject([{ login: record.handle }]);
    replay.stop();
  });

  it("of a login session that is gone are revoked, and said to be (I4)", async () => {
    const { left, kept, replay, server, found } = await makeWorld();
    left.push({ ...kept, loginSession: { ...kept.loginSession, id: "id-gone" as typeof kept.loginSession.id } });
    await replay.start();
    expect(server.revoked.map(({ token }) => token)).toEqual(["rt-kept", "at-kept"]);
    expect(found()).toEqual([{ event: "kept_reply_found", login: undefined, generation: 1, outcome: "drop" }]);
    replay.stop();
  });

  it("are none where the store is this process's memory", async () => {
    const { clock, one } = makeBench();
    const replay = new JournalReplay(one.core, one.imports);
    await replay.start();
    expect(clock.pending).toBe(0);
    replay.stop();
  });
});
