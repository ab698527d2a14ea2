import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AuditEvent } from "../../src/audit/audit.ts";
import { silentLogger } from "../../src/logger.ts";
import type { AttemptId, LoginSessionId } from "../../src/session/login-session.ts";
import type { Kept, KeptReply } from "../../src/session/reply-journal.ts";
import { KeyRing } from "../../src/store/key-ring.ts";
import { LocalReplyJournal } from "../../src/store/local-reply-journal.ts";
import { slotBytes } from "../../src/store/reply-slots.ts";
import { Sealer } from "../../src/store/sealer.ts";

const key = { id: "test", secret: randomBytes(32).toString("base64url") };
let root: string;
let directory: string;
let events: AuditEvent[];
const opened = new Set<LocalReplyJournal>();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "latchkey-journal-"));
  directory = join(root, "latchkey.db.replies");
  events = [];
});
afterEach(async () => {
  for (const journal of opened) await journal.close();
  opened.clear();
  rmSync(root, { recursive: true });
});

async function open(sealer = new Sealer(new KeyRing([key]))): Promise<LocalReplyJournal> {
  const audit = { record: (event: AuditEvent) => void events.push(event) };
  const journal = await LocalReplyJournal.open({ directory, keeps: "always", sealer, logger: silentLogger, audit });
  opened.add(journal);
  return journal;
}

/** What the end of its process does to a journal, whenever it comes: nothing but that the lock is free. */
async function die(journal: LocalReplyJournal): Promise<void> {
  opened.delete(journal);
  await journal.close();
}

function reply(number: number, size = 100): KeptReply {
  return {
    kind: "reply",
    id: `attempt-${number}` as AttemptId,
    loginSession: {
      id: `id-${number}` as LoginSessionId,
      authorizationServer: "main",
      principal: { issuer: "https://as.example", subject: "alice", clientId: "latchkey" },
    },
    attempt: {
      id: `attempt-${number}` as AttemptId,
      epoch: 1,
      generation: number,
      owner: "owner",
      claimedAt: 1,
      deadline: 2,
      target: { scopes: [] },
      reason: "due",
      lost: false,
    },
    sentAt: 1,
    receivedAt: 2,
    body: JSON.stringify({ refresh_token: `canary-${number}`.padEnd(size, "x") }),
  };
}

const idOf = (number: number) => reply(number).attempt.id;
const numbers = (all: readonly Kept[]) => all.map((kept) => Number(/\d+$/.exec(kept.id)?.[0])).sort((a, b) => a - b);
const files = (ending: string) => readdirSync(directory).filter((name) => name.endsWith(ending));
const onlyFile = () => join(directory, files(".replies")[0] ?? "");

describe("the journal of replies", () => {
  it("gives what was kept and not settled to the process that comes after, whole, and to one alone (I4, F8)", async () => {
    const first = await open();
    await Promise.all([1, 2, 3].map((number) => first.keep(reply(number, number * slotBytes))));
    await first.settle(idOf(2));
    await die(first);
    const [second, third] = [await open(), await open()];
    const found = await Promise.all([second.adopt(), third.adopt()]);
    expect(numbers(found.flat())).toEqual([1, 3]);
    expect(found.flat().sort((a, b) => a.id.localeCompare(b.id))).toEqual([reply(1, slotBytes), reply(3, 3 * slotBytes)]);
    expect([...(await second.adopt()), ...(await third.adopt())]).toEqual([]);
  });

  it("keeps what it took over until it is settled: the next process finds it again", async () => {
    const first = await open();
    await first.keep(reply(1));
    await die(first);
    const second = await open();
    expect(numbers(await second.adopt())).toEqual([1]);
    await die(second);
    const third = await open();
    expect(numbers(await third.adopt())).toEqual([1]);
    await third.settle(idOf(1));
    await die(third);
    expect(await (await open()).adopt()).toEqual([]);
  });

  it("takes nothing from a process that lives", async () => {
    const living = await open();
    await living.keep(reply(1));
    expect(await (await open()).adopt()).toEqual([]);
    expect(living.size).toBe(1);
  });

  it("takes nothing from a process that lives, when another journal of that process has looked at its files before", async () => {
    const living = await open();
    await living.keep(reply(1));
    expect(await (await open()).adopt()).toEqual([]);
    const tryLock = `
      const { DatabaseSync } = require("node:sqlite");
      for (const file of process.argv.slice(1)) {
        try { new DatabaseSync(file, { timeout: 0 }).exec("BEGIN EXCLUSIVE"); console.log("taken"); }
        catch { console.log("held"); }
      }`;
    const locks = files(".lock").map((name) => join(directory, name));
    expect(execFileSync(process.execPath, ["-e", tryLock, ...locks], { encoding: "utf8", stdio: "pipe" })).toBe("held\nheld\n");
  });

  it("leaves no file behind when there is nothing to keep", async () => {
    const journal = await open();
    await journal.keep(reply(1));
    await journal.settle(idOf(1));
    await die(journal);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("lies in a folder and in files of its owner alone, sealed (B10, F37)", async () => {
    const journal = await open();
    await journal.keep(reply(1));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    const content = readFileSync(onlyFile(), "latin1");
    expect(content).toContain("attempt-1");
    for (const secret of ["canary", "alice", "as.example"]) expect(content).not.toContain(secret);
  });

  it("does not grow while replies come and go, so that a full disk does not stop it", async () => {
    const journal = await open();
    const { size } = statSync(onlyFile());
    for (let number = 0; number < 300; number += 1) {
      await journal.keep(reply(number, 2 * slotBytes));
      if (number > 0) await journal.settle(idOf(number - 1));
    }
    expect(statSync(onlyFile()).size).toBe(size);
    await die(journal);
    expect(numbers(await (await open()).adopt())).toEqual([299]);
  });

  it.each([
    ["was cut off", (content: Buffer) => content.subarray(0, 2 * slotBytes + 300)],
    ["was changed", (content: Buffer) => Buffer.from(content.fill("A", 2 * slotBytes + 200, 2 * slotBytes + 210))],
    ["was written into another place", (content: Buffer) => Buffer.from(content.fill("9", 2 * slotBytes + 9, 2 * slotBytes + 10))],
  ])("tells of a line that %s, keeps its file, and loses no other (B14)", async (_how, damage) => {
    const first = await open();
    for (const number of [1, 2, 3]) await first.keep(reply(number));
    await die(first);
    writeFileSync(onlyFile(), damage(readFileSync(onlyFile())));
    const second = await open();
    expect(numbers(await second.adopt())).toEqual([1, 2]);
    expect(events).toEqual([{ event: "record_quarantined", table: "replies", problem: "1 cut off or changed" }]);
    expect(files(".damaged")).toHaveLength(1);
    expect(await second.adopt()).toEqual([]);
  });

  it("refuses a folder that cannot be made", async () => {
    writeFileSync(directory, "");
    await expect(open()).rejects.toMatchObject({ code: "configuration_invalid" });
  });

  it("loses no reply and gives none to two, whatever is kept, settled and killed in whatever order (property, I4)", async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant("keep" as const), who: fc.nat(2), size: fc.integer({ min: 1, max: 20_000 }) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("settle" as const), who: fc.nat(2), which: fc.nat(9) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), who: fc.nat(2), torn: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("adopt" as const), who: fc.nat(2) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const journals = [await open(), await open(), await open()];
        const held: Set<number>[] = [new Set(), new Set(), new Set()];
        const left = new Set<number>();
        let next = 0;
        for (const each of steps) {
          const { who } = each;
          const mine = held[who] ?? new Set();
          const journal = journals[who];
          if (journal === undefined) continue;
          switch (each.kind) {
            case "keep": {
              next += 1;
              mine.add(next);
              await journal.keep(reply(next, each.size));
              break;
            }
            case "settle": {
              const number = [...mine][each.which % Math.max(1, mine.size)];
              if (number === undefined) break;
              mine.delete(number);
              await journal.settle(idOf(number));
              break;
            }
            case "die": {
              for (const number of mine) left.add(number);
              await die(journal);
              journals[who] = await open();
              held[who] = new Set();
              break;
            }
            case "adopt": {
              const found = numbers(await journal.adopt());
              expect(found).toEqual([...left].sort((a, b) => a - b));
              for (const number of found) mine.add(number);
              left.clear();
            }
          }
        }
        for (const journal of journals) await die(journal);
        const last = await open();
        expect(numbers(await last.adopt())).toEqual([...left, ...held.flatMap((each) => [...each])].sort((a, b) => a - b));
        await die(last);
        rmSync(directory, { recursive: true });
      }),
      { numRuns: 30 },
    );
  });
});
