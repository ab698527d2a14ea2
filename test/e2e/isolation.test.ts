import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HttpTransport, httpTransports } from "../support/e2e-clients.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { breath, eventually } from "../support/e2e-wait.ts";
import { type User, World } from "../support/e2e-world.ts";

let world: World;
const closings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  world = await World.start((close) => closings.push(close), { accessTokenSeconds: 6 });
});
afterAll(async () => {
  for (const close of closings) await close();
});

describe.concurrent("many users at once", () => {
  test("each see themselves and their own notes alone, over SSE and Streamable HTTP, while tokens are refreshed (R9, B2, B3)", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `user-${index + 10}`);
    const users = await Promise.all(names.map((name) => world.signIn(name)));
    const seen = await Promise.all(users.flatMap((user) => httpTransports.map((transport) => work(user, transport))));
    const expected = names.flatMap((name) =>
      httpTransports.map((transport) => ({
        who: [name],
        foreignNotes: [],
        ownNotes: expect.arrayContaining([`${name} over ${transport}, 1`, `${name} over ${transport}, 5`]),
      })),
    );
    expect(seen).toEqual(expected);
    expect(findHistoryFaults(world.events())).toEqual([]);
    expect(world.api.stats().foreignBearers).toBe(0);
  });

  /** Calls tools until the user's tokens have been refreshed under it, at least five rounds. */
  async function work(user: User, transport: HttpTransport) {
    const client = await world.connect(transport, user);
    const who = new Set<string>();
    const notes = new Set<string>();
    for (let round = 1; round <= 5 || world.refreshes(user.name) === 0; round += 1) {
      if (round <= 5) await client.mustCall("add_note", { text: `${user.name} over ${transport}, ${round}` });
      who.add(await client.whoami());
      for (const text of await client.notes()) notes.add(text);
      await breath();
    }
    const own = [...notes].filter((text) => text.startsWith(`${user.name} over `));
    return { who: [...who], foreignNotes: [...notes].filter((text) => !own.includes(text)), ownNotes: own };
  }
});

describe.concurrent("two logins of one user", () => {
  test("are independent: one signs out, the other works on and is refreshed (B8)", async () => {
    const [first, second] = [await world.signIn("olga"), await world.signIn("olga")];
    const client = await world.connect("sse", second);
    expect((await first.window.signOut()).json).toMatchObject({ state: "ended", revocation: "done" });
    await eventually("the other login was refreshed", async () => (await world.record(second.handle)).generation > 1);
    expect(await client.notes()).toEqual([]);
    expect(findHistoryFaults(world.events("olga"))).toEqual([]);
  });
});

interface Attack {
  readonly verb: string;
  readonly send: (id: string, key: string) => Promise<Response>;
}

const addNote = JSON.stringify({
  jsonrpc: "2.0",
  id: 7,
  method: "tools/call",
  params: { name: "add_note", arguments: { text: "intruder" } },
});
const posting = { "content-type": "application/json", accept: "application/json, text/event-stream" };

const onStreamableHttp: readonly Attack[] = ["POST", "GET", "DELETE"].map((verb) => ({
  verb,
  send: (id, key) =>
    fetch(`${world.url}/mcp`, {
      method: verb,
      headers: {
        authorization: `Bearer ${key}`,
        "mcp-session-id": id,
        ...(verb === "POST" ? posting : { accept: "text/event-stream" }),
      },
      ...(verb === "POST" ? { body: addNote } : {}),
    }),
}));
const onSse: Attack = {
  verb: "POST",
  send: (id, key) =>
    fetch(`${world.url}/messages?sessionId=${id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, ...posting },
      body: addNote,
    }),
};
const attacks = [...onStreamableHttp.map((attack) => ({ ...attack, transport: "http" as const })), { ...onSse, transport: "sse" as const }];

describe("somebody else's connection", () => {
  const alice = { key: "lk_demo_alice" };
  const bob = { key: "lk_demo_bob" };

  test.each(attacks)("answers $verb over $transport like an unknown id, and nothing arrives there (R9, B4, F31)", async (attack) => {
    const victim = await world.connect(attack.transport, alice);
    const id = connectionId(victim.client.transport, attack.transport);
    const before = world.audit("foreign_connection_access").length;
    const refused = await described(await attack.send(id, bob.key));
    const unknown = await described(await attack.send(randomBytes(32).toString("base64url").slice(0, id.length), bob.key));
    expect(refused.status).toBe(404);
    expect(refused).toEqual(unknown);
    // The owner works on, and neither of the two has the note.
    expect(await victim.whoami()).toBe("alice");
    expect(await victim.notes()).not.toContain("intruder");
    expect(await (await world.connect("http", bob)).notes()).not.toContain("intruder");
    expect(victim.complaints).toEqual([]);
    const [line, ...more] = world.audit("foreign_connection_access").slice(before);
    expect(more).toEqual([]);
    const handles = { login: await handleOf(alice), presentedLogin: await handleOf(bob) };
    expect(line).toMatchObject({ ...handles, method: attack.verb });
    expect(JSON.stringify(line)).not.toContain(id);
  });

  async function handleOf(user: { readonly key: string }): Promise<unknown> {
    return (await (await world.connect("http", user)).mustCall("session_status")).structured.login;
  }

  test("needs a credential for each single request, an open connection notwithstanding (B4)", async () => {
    const client = await world.connect("http", alice);
    const id = connectionId(client.client.transport, "http");
    for (const attack of onStreamableHttp) expect((await attack.send(id, "lk_unknown")).status).toBe(401);
    expect(await client.whoami()).toBe("alice");
  });
});

/** What a client can tell one answer from another by. */
async function described(response: Response) {
  const headers = [...response.headers].filter(([name]) => name !== "date");
  return { status: response.status, headers, body: await response.text() };
}

/** The id that the server gave the connection, as its client knows it. */
function connectionId(transport: unknown, kind: HttpTransport): string {
  const [holder, name] = kind === "http" ? [transport, "sessionId"] : [Reflect.get(Object(transport), "_endpoint"), "href"];
  const value: unknown = Reflect.get(Object(holder), name);
  const id = kind === "http" ? value : new URL(String(value)).searchParams.get("sessionId");
  if (typeof id !== "string" || id.length < 22) throw new Error(`There is no id of the ${kind} connection.`);
  return id;
}
