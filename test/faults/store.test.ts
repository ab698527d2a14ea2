import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import type { Behaviour } from "../../src/testing/index.ts";
import { eventually } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";
import { storeAway } from "../support/hooked-store.ts";
import { FaultWorld } from "./fault-world.ts";
import { holds } from "./presentation-faults.ts";

/** A world on a SQLite file, and another hand on the same file. */
async function startOnFile(atEnd: AtEnd, accessTokenSeconds = 30): Promise<{ readonly world: FaultWorld; readonly file: DatabaseSync }> {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-faults-"));
  atEnd(async () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "latchkey.db");
  const server: Behaviour = { kind: "access_token_life", seconds: accessTokenSeconds };
  const world = await FaultWorld.start(atEnd, { server: [server], config: { store: { type: "sqlite", file: path } } });
  const file = new DatabaseSync(path);
  atEnd(async () => file.close());
  return { world, file };
}

describe.concurrent("a store", () => {
  test("F9 that is down after the reply: the access token is served, then the reply is published, without another POST (I4)", async ({
    onTestFinished,
  }) => {
    const { world, file } = await startOnFile(onTestFinished, 300);
    const user = await world.signIn();
    const client = await world.connect(user);
    world.server.set(holds(world.hold, "reply"), { next: 1 });
    await world.until("it is presented", () => world.hold.size === 1, 240);
    file.exec("BEGIN IMMEDIATE");
    world.hold.open();
    await world.clock.advance(6_000);
    expect(user.record()).toMatchObject({ state: "refreshing", generation: 1 });
    expect((await client.call("me")).isError).toBe(false);
    await world.clock.advance(8_000);
    expect(world.count("presented")).toBe(1);
    file.exec("COMMIT");
    await eventually("it is published", async () => {
      await world.clock.advance(250);
      return user.record().generation >= 2;
    });
    expect((await client.call("me")).isError).toBe(false);
    expect(world.server.ledger.refreshes.filter(({ generation }) => generation === 0)).toHaveLength(1);
    expect(world.count("reuse")).toBe(0);
  });

  test.for(["claim", "reply", "publication"] as const)(
    "F10 that loses the acknowledgement of the %s: known as ours by its attempt, one POST, one generation",
    async (point, { onTestFinished }) => {
      const world = await FaultWorld.start(onTestFinished);
      const user = await world.signIn();
      const client = await world.connect(user);
      const lost = losesAcknowledgement(world, (next) => pointOf(next) === point);
      await world.until("it is refreshed", () => user.record().generation === 2 && user.record().state === "live");
      expect(lost()).toBe(true);
      expect(world.count("presented")).toBe(1);
      expect(world.isCurrent(user.record().refreshToken)).toBe(true);
      expect(await client.mustCall("me")).toMatchObject({ text: expect.stringContaining("alice") });
    },
  );

  test("F10 that loses the acknowledgement of a logout: nothing is served, and asked again it answers as if it had been told", async ({
    onTestFinished,
  }) => {
    const world = await FaultWorld.start(onTestFinished);
    const user = await world.signIn();
    const lost = losesAcknowledgement(world, ({ state }) => state === "ended");
    const { logout } = world.latchkey.core;
    await expect(logout.end(user.login.id, "logout")).rejects.toMatchObject({ code: "store_unavailable" });
    expect(lost()).toBe(true);
    expect(user.record().state).toBe("ended");
    expect(await logout.end(user.login.id, "logout")).toMatchObject({ loginSession: { state: "ended", reason: { code: "logout" } } });
    await world.until("its tokens are revoked", () => user.record().revocation === "done");
    expect(world.count("revoked")).toBe(1);
  });

  test.for([
    { name: "two rows were swapped", spoilt: ["alice", "bob"] },
    { name: "a row was sealed with an unknown key", spoilt: ["alice"] },
    { name: "one field was rolled back", spoilt: ["alice"] },
  ])("F38 of which $name: those login sessions are quarantined, the others work on", async ({ name, spoilt }, { onTestFinished }) => {
    const { world, file } = await startOnFile(onTestFinished);
    const users = [await world.signIn("alice"), await world.signIn("bob"), await world.signIn("carol")] as const;
    await world.until("all were refreshed", () => users.every((user) => user.record().generation === 2 && user.record().state === "live"));
    tamper(
      file,
      name,
      users.map(({ login }) => login.id),
    );
    const [, , carol] = users;
    for (const user of users) {
      const answer = await world.connect(user).then(
        (client) => client.call("me"),
        () => undefined,
      );
      const got = answer === undefined || answer.isError ? "nothing" : answer.text;
      expect(got).toContain(spoilt.includes(user.subject) ? "nothing" : user.subject);
    }
    expect(new Set(world.audit("record_quarantined").map(({ login }) => login))).toEqual(
      new Set(users.filter(({ subject }) => spoilt.includes(subject)).map((user) => user.record().handle)),
    );
    const presented = spoilt.map((subject) => world.count("presented", subject));
    await world.until("the others are refreshed", () => carol.record().generation >= 4, 120);
    expect(spoilt.map((subject) => world.count("presented", subject))).toEqual(presented);
    expect(world.count("reuse")).toBe(0);
  });
});

/** Another hand in the file. */
function tamper(file: DatabaseSync, how: string, [alice = "", bob = ""]: readonly string[]): void {
  const sealedOf = (id: string): string => String(file.prepare("SELECT sealed FROM login_sessions WHERE id = ?").get(id)?.["sealed"]);
  const seal = (id: string, sealed: string): void => void file.prepare("UPDATE login_sessions SET sealed = ? WHERE id = ?").run(sealed, id);
  const [ofAlice, ofBob] = [sealedOf(alice), sealedOf(bob)];
  if (how.includes("swapped")) {
    seal(alice, ofBob);
    seal(bob, ofAlice);
  } else if (how.includes("unknown key")) {
    const [header = "", ...rest] = ofAlice.split(".");
    const other = { ...JSON.parse(Buffer.from(header, "base64url").toString()), kid: "of-nobody" };
    seal(alice, [Buffer.from(JSON.stringify(other)).toString("base64url"), ...rest].join("."));
  } else file.prepare("UPDATE login_sessions SET generation = 1 WHERE id = ?").run(alice);
}

function pointOf(next: LoginSession): string {
  if (next.pending !== undefined) return "reply";
  if (next.state === "refreshing") return "claim";
  return next.generation > 1 ? "publication" : "other";
}

/** The first commit like this is written, but nobody hears of it. Gives whether that has happened. */
function losesAcknowledgement({ latchkey }: FaultWorld, isMeant: (next: LoginSession) => boolean): () => boolean {
  const { loginSessions } = latchkey.core.store;
  const commit = loginSessions.commit.bind(loginSessions);
  let lost = false;
  loginSessions.commit = async (next) => {
    const result = await commit(next);
    if (lost || !isMeant(next)) return result;
    lost = true;
    throw storeAway();
  };
  return () => lost;
}
