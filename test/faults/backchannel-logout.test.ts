import { beforeEach, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import { FaultWorld } from "./fault-world.ts";

let world: FaultWorld;
beforeEach(async () => {
  world = await FaultWorld.start((close) => onTestFinished(close));
});

async function send(claims: Readonly<Record<string, unknown>>): Promise<number> {
  const body = new URLSearchParams({ logout_token: await world.server.logoutToken(claims) });
  const response = await fetch(`${world.latchkey.publicUrl}/backchannel-logout`, { method: "POST", body });
  expect(response.headers.get("cache-control")).toBe("no-store");
  await response.arrayBuffer();
  return response.status;
}

test("F24 by sub: 200, and the user's connections are closed, over Streamable HTTP and SSE; nobody else's are (B9)", async () => {
  const [alice, bob] = [await world.signIn("alice"), await world.signIn("bob")];
  const clients = [await world.connect(alice, "http"), await world.connect(alice, "sse")];
  const other = await world.connect(bob);
  for (const client of clients) expect(await client.whoami()).toBe("alice");
  const { registry } = world.latchkey.core;
  expect(registry.countByLoginSession(alice.login.id)).toBe(2);
  expect(await send({ sub: "alice" })).toBe(200);
  expect(alice.record()).toMatchObject({ state: "ended", reason: { code: "backchannel_logout" }, accessTokens: [] });
  // The clock stands still: nothing waits for a second.
  await eventually("the connections are closed", () => registry.countByLoginSession(alice.login.id) === 0);
  for (const client of clients) await expect(client.whoami()).rejects.toThrow();
  expect(await other.whoami()).toBe("bob");
  expect(world.audit("backchannel_logout")).toMatchObject([{ ended: 1 }]);
});

test("F24 by sid: only what began in that session ends, and the sid is that of the ID token", async () => {
  const [first, second] = [await world.signIn("alice"), await world.signIn("alice")];
  const sid = first.record().principal.sid;
  expect(sid).toBeDefined();
  expect(second.record().principal.sid).not.toBe(sid);
  expect(await send({ sid })).toBe(200);
  expect([first.record().state, second.record().state]).toEqual(["ended", "live"]);
});

test("F24 replayed, for another client, or with a nonce: 400, and nothing ends", async () => {
  const alice = await world.signIn("alice");
  expect(await send({ sub: "alice", aud: "somebody-else" })).toBe(400);
  expect(await send({ sub: "alice", nonce: "n" })).toBe(400);
  expect(alice.record().state).toBe("live");
  expect(await send({ sub: "bob", jti: "one" })).toBe(200);
  expect(await send({ sub: "bob", jti: "one" })).toBe(400);
  expect(alice.record().state).toBe("live");
});
