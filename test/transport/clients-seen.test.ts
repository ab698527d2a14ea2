import { expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { ClientsSeen, seenForMs } from "../../src/transport/clients-seen.ts";

const alice = "alice" as LoginSessionId;
const bob = "bob" as LoginSessionId;
const client = (name: string, lastSeenAt: number) => ({ name, version: "1", transport: "sse" as const, lastSeenAt });

test("lists each client once, by its latest sign of life, the latest first, and each login session's apart", () => {
  const seen = new ClientsSeen();
  seen.add(alice, client("a", 10), 10);
  seen.add(alice, client("b", 20), 20);
  seen.add(bob, client("c", 20), 20);
  expect(seen.list(alice, [client("a", 30)], 30)).toEqual([client("a", 30), client("b", 20)]);
  expect(seen.list(bob, [], 30)).toEqual([client("c", 20)]);
});

test("forgets after 15 minutes, and holds at most 50 for one login session", () => {
  const seen = new ClientsSeen();
  for (let at = 0; at < 60; at += 1) seen.add(alice, client(`n${at}`, at), at);
  expect(seen.list(alice, [], 60)).toHaveLength(50);
  expect(seen.list(alice, [], 60).at(-1)).toEqual(client("n10", 10));
  expect(seen.list(alice, [], seenForMs + 58)).toEqual([client("n59", 59)]);
  seen.purge(seenForMs + 58);
  expect(seen.size).toBe(1);
  seen.purge(seenForMs + 59);
  expect(seen.size).toBe(0);
  seen.add(alice, client("old", 0), seenForMs);
  expect(seen.size).toBe(0);
});
