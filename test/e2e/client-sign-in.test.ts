import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpTransports } from "../support/e2e-clients.ts";
import { World } from "../support/e2e-world.ts";
import { OAuthClient } from "../support/oauth-client.ts";

let world: World;
const closings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  world = await World.start((close) => closings.push(close));
});
afterAll(async () => {
  for (const close of closings.reverse()) await close();
});

describe("a client that is given nothing but the address", () => {
  test.each(httpTransports)("finds out everything, its user consents and signs in, and it acts as her over %s", async (kind) => {
    const client = new OAuthClient(world.url);
    await client.signIn(world.browser(), `carol-${kind}`, kind);
    const connection = await client.connect(kind);
    expect(await connection.whoami()).toBe(`carol-${kind}`);
    expect(await connection.notes()).toEqual([]);
    await connection.close();
  });
});
