import { describe, expect, it } from "vitest";
import { type Logger, silentLogger } from "../../src/logger.ts";
import type { KeptReply, ReplyJournal } from "../../src/session/reply-journal.ts";
import { keepUntilStored } from "../../src/token/keep-until-stored.ts";
import { aLoginSession, openAttempt } from "../session/records.ts";
import { settle } from "../support/manual-clock.ts";
import { Hold, makeBench } from "../support/token-bench.ts";

const { id, authorizationServer, principal } = aLoginSession("a");
const reply: KeptReply = {
  kind: "reply",
  id: openAttempt.id,
  loginSession: { id, authorizationServer, principal },
  attempt: openAttempt,
  sentAt: 1,
  receivedAt: 2,
  body: "{}",
};

/** A journal that says what it was asked, and whose disk can be slow or broken. */
function makeWorld(keeps: ReplyJournal["keeps"]) {
  const said: string[] = [];
  const errors: string[] = [];
  const disk = new Hold();
  disk.on = false;
  const broken = { on: false };
  const journal: ReplyJournal = {
    keeps,
    keep: async (kept) => {
      expect(kept).toBe(reply);
      said.push("keep");
      await disk.wait();
      if (broken.on) throw new Error("no space left");
      said.push("kept");
    },
    settle: async (attemptId) => void said.push(`settle ${attemptId}`),
    adopt: async () => [],
    close: async () => {},
  };
  const logger: Logger = { ...silentLogger, error: (message) => void errors.push(message) };
  const { clock, one } = makeBench({}, { journal, logger });
  const store = new Hold();
  const stored = async (refused?: () => void): Promise<string> => {
    said.push("store");
    refused?.();
    await store.wait();
    said.push("stored");
    return "what the store said";
  };
  return { clock, core: one.core, said, errors, disk, broken, store, stored };
}

describe("a reply on its way into the store", () => {
  it("is kept first where the store is of another machine, and forgotten once that has it (I4)", async () => {
    const { clock, core, said, stored, store } = makeWorld("always");
    store.on = false;
    expect(await keepUntilStored(core, reply, () => stored())).toBe("what the store said");
    expect(said).toEqual(["keep", "kept", "store", "stored", `settle ${openAttempt.id}`]);
    expect(clock.pending).toBe(0);
  });

  it("is kept once the store has taken a quarter of a second over it, and once only", async () => {
    const { clock, core, said, stored, store } = makeWorld("when_refused");
    const result = keepUntilStored(core, reply, (refused) => stored().finally(refused));
    await clock.advance(249);
    expect(said).toEqual(["store"]);
    await clock.advance(1);
    expect(said).toEqual(["store", "keep", "kept"]);
    store.open();
    expect(await result).toBe("what the store said");
    expect(said).toEqual(["store", "keep", "kept", "stored", `settle ${openAttempt.id}`]);
  });

  it("is not kept when the store took it in time", async () => {
    const { clock, core, said, stored, store } = makeWorld("when_refused");
    const result = keepUntilStored(core, reply, () => stored());
    await clock.advance(249);
    store.open();
    await result;
    await clock.advance(1_000);
    expect(said).toEqual(["store", "stored", `settle ${openAttempt.id}`]);
    expect(clock.pending).toBe(0);
  });

  it("is kept at once when the store refuses it, and not forgotten before the disk has it", async () => {
    const { core, said, stored, store, disk } = makeWorld("when_refused");
    store.on = false;
    disk.on = true;
    const result = keepUntilStored(core, reply, (refused) => stored(refused));
    await settle();
    expect(said).toEqual(["store", "keep", "stored"]);
    disk.open();
    await result;
    expect(said).toEqual(["store", "keep", "stored", "kept", `settle ${openAttempt.id}`]);
  });

  it("goes to the store although the disk does not take it, which is said in the log", async () => {
    const { core, said, errors, stored, store, broken } = makeWorld("always");
    store.on = false;
    broken.on = true;
    expect(await keepUntilStored(core, reply, () => stored())).toBe("what the store said");
    expect(said).toEqual(["keep", "store", "stored", `settle ${openAttempt.id}`]);
    expect(errors).toHaveLength(1);
  });

  it("stays kept when it cannot be stored at all, and nothing waits any more", async () => {
    const { clock, core, said } = makeWorld("always");
    await expect(keepUntilStored(core, reply, () => Promise.reject(new Error("never")))).rejects.toThrow("never");
    expect(said).toEqual(["keep", "kept"]);
    expect(clock.pending).toBe(0);
    const other = makeWorld("when_refused");
    await expect(keepUntilStored(other.core, reply, () => Promise.reject(new Error("never")))).rejects.toThrow("never");
    await other.clock.advance(1_000);
    expect(other.said).toEqual([]);
  });
});
