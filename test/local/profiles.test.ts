import { describe, expect, test } from "vitest";
import { Profiles } from "../../src/local/profiles.ts";
import type { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { settle } from "../support/manual-clock.ts";
import { makeBench } from "../support/token-bench.ts";

describe("a profile", () => {
  test("gets a login session of its own at the first sign-in, and keeps it at the next of the same user", async () => {
    const { profiles, server, one } = make();
    const first = await profiles.signedIn("work", server.signIn("alice"));
    expect(first).toMatchObject({ kind: "new", record: { state: "live", origin: { kind: "local", profile: "work" } } });
    const second = await profiles.signedIn("work", server.signIn("alice"));
    expect(second).toMatchObject({ kind: "repaired", record: { id: first.record.id, epoch: 2 } });
    expect((await profiles.find("work"))?.record).toEqual(await one.core.sessions.get(first.record.id));
    expect(await profiles.find("home")).toBeUndefined();
  });

  test("stays whose it is: another user is refused, also when a sign-in is needed, and the tokens are revoked (B2)", async () => {
    const { profiles, server, one } = make();
    const { record } = await profiles.signedIn("work", server.signIn("alice"));
    const stranger = server.signIn("bob");
    await expect(profiles.signedIn("work", stranger)).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining('the profile "work" belongs to alice'),
    });
    await settle();
    expect(server.isActive(stranger.tokens.refreshToken)).toBe(false);
    expect((await profiles.find("work"))?.record?.id).toBe(record.id);
    expect(one.events).toContainEqual(expect.objectContaining({ event: "login_refused", code: "forbidden" }));
  });

  test("is anybody's once it was logged out; logging out twice gives the same, and nobody is signed in where nobody was", async () => {
    const { profiles, server, clock } = make();
    expect(await profiles.logOut("work")).toBeUndefined();
    const { record } = await profiles.signedIn("work", server.signIn("alice"));
    const out = profiles.logOut("work");
    await clock.advance(6_000);
    expect(await out).toMatchObject({ record: { id: record.id, state: "ended" }, revocation: "done" });
    expect(await profiles.logOut("work")).toEqual(await out);
    const next = await profiles.signedIn("work", server.signIn("bob"));
    expect(next).toMatchObject({ kind: "new", record: { principal: { subject: "bob" } } });
    expect((await profiles.find("work"))?.record?.id).toBe(next.record.id);
  });

  test("lets one of two sign-ins at one time win, and ends the other's login session", async () => {
    const { profiles, server, store } = make();
    const results = await Promise.allSettled(["alice", "bob"].map((user) => profiles.signedIn("work", server.signIn(user))));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [lost] = results.filter((result) => result.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: "conflict" });
    const winner = await profiles.find("work");
    const loser = winner?.profile.principal.subject === "alice" ? "bob" : "alice";
    expect(winner?.record?.state).toBe("live");
    expect(await store.loginSessions.listByUser(server.issuer, loser)).toMatchObject([{ state: "ended", reason: { code: "logout" } }]);
  });

  test("whose login session was purged is forgotten at its logout", async () => {
    const { profiles, server, store } = make();
    const { record } = await profiles.signedIn("work", server.signIn("alice"));
    await store.loginSessions.remove(record.id, (await store.loginSessions.get(record.id))?.version ?? 0);
    expect(await profiles.find("work")).toMatchObject({ profile: { name: "work" }, record: undefined });
    expect(await profiles.logOut("work")).toBeUndefined();
    expect(await profiles.list()).toEqual([]);
  });

  test("asks who it is beside another profile that is signed in there, and nobody else", async () => {
    const { profiles, server } = make();
    expect(await profiles.promptFor("work", "main")).toBeUndefined();
    await profiles.signedIn("work", server.signIn("alice"));
    expect(await profiles.promptFor("work", "main")).toBeUndefined();
    expect(await profiles.promptFor("home", "main")).toBe("login");
    expect(await profiles.promptFor("home", "other")).toBeUndefined();
  });
});

function make() {
  const bench = makeBench();
  const { one, clock } = bench;
  const store: MemoryStore = bench.store;
  const profiles = new Profiles({ store: store.profiles, sessions: one.core.sessions, logins: one.logins, logout: one.logout });
  return { profiles, server: bench.server, one, clock, store };
}
