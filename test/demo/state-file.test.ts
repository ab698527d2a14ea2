import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { createLogger } from "../../src/logger.ts";
import { HeldClock } from "./held-clock.ts";
import { claims, PlainClient, redirectUri } from "./plain-client.ts";

let directory: string;
let file: string;
let lines: string[];
const running: DemoAuthorizationServer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "latchkey-demo-"));
  file = join(directory, "authorization-server.json");
  lines = [];
});

afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
  await rm(directory, { recursive: true });
});

async function start(options: { port?: number; stateDirectory?: string; clock?: HeldClock } = {}): Promise<PlainClient> {
  const logger = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line), now: Date.now });
  const common = { stateDirectory: directory, apiUrl: "http://127.0.0.1:8422", redirectUris: [redirectUri], logger };
  const server = await startDemoAuthorizationServer({ ...common, ...options });
  running.push(server);
  return new PlainClient(server);
}

describe("a restart", () => {
  test("loses no grant, no key, and no memory of used tokens", async () => {
    const before = await start();
    const alice = await before.login("alice");
    const bob = await before.login("bob");
    const newest = await before.refresh(alice.body.refresh_token);
    const keys = await (await fetch(`${before.server.issuer}/jwks`)).json();
    await before.server.close();

    const after = await start({ port: before.server.port });
    expect(after.server.clientSecret).toBe(before.server.clientSecret);
    expect(await (await fetch(`${after.server.issuer}/jwks`)).json()).toEqual(keys);
    const refreshed = await after.refresh(newest.body.refresh_token);
    expect(refreshed.status).toBe(200);
    expect(claims(refreshed.body.id_token)).toMatchObject({ sub: "alice", sid: claims(alice.body.id_token).sid });
    expect(after.server.events()).toMatchObject([{ kind: "refreshed", user: "alice", generation: 3 }]);
    expect((await after.refresh(alice.body.refresh_token)).status).toBe(400);
    expect((await after.refresh(refreshed.body.refresh_token)).status).toBe(400);
    expect((await after.refresh(bob.body.refresh_token)).status).toBe(200);
    expect(after.server.events().map(({ kind, user }) => `${kind} ${user}`)).toEqual([
      "refreshed alice",
      "reuse alice",
      "revoked alice",
      "refreshed bob",
    ]);
  });

  test("without any warning loses no token that was handed out", async () => {
    const before = await start();
    const { body } = await before.login("alice");
    const newest = await before.refresh(body.refresh_token);
    // What a kill -9 right after the answer would leave.
    const copy = await mkdtemp(join(tmpdir(), "latchkey-demo-copy-"));
    await copyFile(file, join(copy, "authorization-server.json"));
    const after = await start({ stateDirectory: copy });
    expect((await after.refresh(newest.body.refresh_token)).status).toBe(200);
    await running.pop()?.close();
    await rm(copy, { recursive: true });
  });

  test("remembers a logout", async () => {
    const before = await start();
    const { body } = await before.login("alice");
    await before.revoke(body.refresh_token);
    await before.server.close();
    expect(JSON.parse(await readFile(file, "utf8")).records).toEqual([]);
    const after = await start({ port: before.server.port });
    expect((await after.refresh(body.refresh_token)).status).toBe(400);
    expect(after.server.events()).toEqual([]);
  });
});

describe("the state file", () => {
  test("is its owner's alone and holds what is current, without a flush at the end", async () => {
    const { server } = await start();
    await server.signIn("alice");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["authorization-server.json"]);
  });

  test("drops what has expired: after its tokens' time a login leaves nothing", async () => {
    const clock = new HeldClock();
    const client = await start({ clock });
    await client.login("alice");
    expect(JSON.parse(await readFile(file, "utf8")).records.length).toBeGreaterThan(2);
    clock.skip(2 * 3_600_000);
    await client.server.close();
    await start({ port: client.server.port, clock });
    await running.pop()?.close();
    expect(JSON.parse(await readFile(file, "utf8")).records).toEqual([]);
  });

  test("keeps a login for as long as it is refreshed", async () => {
    const clock = new HeldClock();
    const client = await start({ clock });
    let { body } = await client.login("alice");
    for (let round = 0; round < 10; round++) {
      clock.skip(500_000);
      body = (await client.refresh(body.refresh_token)).body;
    }
    expect(client.server.events().at(-1)).toMatchObject({ kind: "refreshed", generation: 11 });
  });

  test.each([
    ["cut off", '{"format":"latchkey-demo-authorization-server","version":1,"rec'],
    ["another program's", '{"name":"something-else"}'],
    ["of a version that is not known", '{"format":"latchkey-demo-authorization-server","version":2}'],
    ["empty", ""],
  ])("is moved aside when it is %s, with a warning", async (_what, content) => {
    await writeFile(file, content);
    const client = await start();
    expect((await client.login("alice")).status).toBe(200);
    const aside = (await readdir(directory)).filter((name) => name.includes(".unusable-"));
    expect(aside).toHaveLength(1);
    expect(await readFile(join(directory, aside[0] ?? ""), "utf8")).toBe(content);
    expect(lines.filter((line) => line.includes('"warn"'))).toEqual([expect.stringContaining("starts without them")]);
  });

  test("is moved aside when its keys cannot sign", async () => {
    const { server } = await start();
    await server.close();
    const saved = JSON.parse(await readFile(file, "utf8"));
    saved.keys[0].d = "AA";
    await writeFile(file, JSON.stringify(saved));
    const client = await start();
    expect((await client.login("alice")).status).toBe(200);
    expect(client.server.clientSecret).not.toBe(server.clientSecret);
  });

  test("that cannot be read stops the start and says so, and the port is free again", async () => {
    const { port, close } = (await start()).server;
    await close();
    await writeFile(join(directory, "occupied"), "");
    const inside = join(directory, "occupied", "state");
    await expect(start({ port, stateDirectory: inside })).rejects.toMatchObject({ code: "configuration_invalid" });
    expect((await start({ port })).server.port).toBe(port);
  });

  test("that cannot be written is told, and the server goes on", async () => {
    const client = await start();
    await client.login("alice");
    await rm(directory, { recursive: true });
    expect((await client.login("bob")).status).toBe(200);
    expect(lines.some((line) => line.includes('"error"') && line.includes("could not be saved"))).toBe(true);
    directory = await mkdtemp(join(tmpdir(), "latchkey-demo-"));
  });
});
