import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { startChaosProxy } from "../../src/testing/chaos-proxy.ts";
import { listenOnLoopback } from "../../src/testing/loopback.ts";
import { noRedis, ownPrefix } from "../support/redis-for-tests.ts";
import { OwnRedisServer } from "../support/redis-server.ts";
import { RedisBench } from "./redis-bench.ts";

const password = "a-password-of-the-tests";

/** Everything that may be printed. */
async function refusal(url: string): Promise<{ readonly code: unknown; readonly message: string }> {
  const bench = new RedisBench({ url, keyPrefix: "never" });
  const error: unknown = await bench.open().catch((thrown: unknown) => thrown);
  if (!(error instanceof Error) || !("code" in error)) throw new Error("It was opened.");
  const printed = JSON.stringify([error.message, error.stack, error, error.cause, bench.lines, bench.events]);
  expect(printed).not.toContain(password);
  expect(Object.values(error.cause instanceof Error ? error.cause : {})).not.toContainEqual(
    expect.objectContaining({ args: expect.anything() }),
  );
  return { code: error.code, message: error.message };
}

describe.skipIf(noRedis !== undefined)(`opening a Redis store (${noRedis ?? "Redis is there"})`, () => {
  test("is refused with a wrong password, with none, and for a database that there is not (B10)", async () => {
    const server = await OwnRedisServer.start("--requirepass", "the-right-one", "--databases", "4");
    const at = `127.0.0.1:${server.port}`;
    expect(await refusal(`redis://:${password}@${at}`)).toEqual({
      code: "configuration_invalid",
      message: expect.stringContaining(`Redis at ${at} does not take the user name or the password of store.url`),
    });
    expect(await refusal(`redis://${at}`)).toMatchObject({ message: expect.stringContaining("asks for a password") });
    expect(await refusal(`redis://:the-right-one@${at}/9`)).toEqual({
      code: "configuration_invalid",
      message: expect.stringContaining(`Redis at ${at} has no database 9`),
    });
    const bench = new RedisBench({ url: `redis://:the-right-one@${at}/3`, keyPrefix: "p" });
    const store = await bench.open();
    expect(await store.replicas.announce("r", 1_000)).toBe(1);
    expect(JSON.stringify(bench.lines)).not.toContain("the-right-one");
  });

  test("is refused where there is no host, no Redis and no answer, in words with the way out", async () => {
    expect(await refusal(`redis://:${password}@no-such-host.invalid`)).toEqual({
      code: "configuration_invalid",
      message: expect.stringContaining("there is no host no-such-host.invalid"),
    });
    const web = createServer((_request, response) => response.end("hello"));
    const port = await listenOnLoopback(web, 0);
    onTestFinished(() => void web.close());
    expect(await refusal(`redis://:${password}@127.0.0.1:${port}`)).toEqual({
      code: "configuration_invalid",
      message: expect.stringContaining("is not Redis"),
    });
    const nobody = await startChaosProxy({ target: 1 });
    await nobody.close();
    expect(await refusal(`redis://:${password}@127.0.0.1:${nobody.port}`)).toEqual({
      code: "store_unavailable",
      message: expect.stringContaining("nothing listens at"),
    });
  });

  test.each(["http://127.0.0.1", "127.0.0.1:6379", `redis://:${password}@127.0.0.1/one`])("is refused for the address %s", async (url) => {
    expect(await refusal(url)).toMatchObject({ code: "configuration_invalid" });
  });

  test("warns once, and only warns, where Redis may lose what it has confirmed", async () => {
    const careless = await OwnRedisServer.start("--appendonly", "no", "--maxmemory-policy", "allkeys-lru");
    const bench = new RedisBench({ url: careless.url, keyPrefix: "p" });
    await bench.open();
    const warnings = bench.lines.filter((line) => line.includes("may lose login sessions"));
    expect(warnings).toEqual([expect.stringMatching(/appendonly is no.*maxmemory-policy is allkeys-lru/)]);
    const careful = await OwnRedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const other = new RedisBench({ url: careful.url, keyPrefix: "p" });
    await other.open();
    expect(other.logged("may lose")).toBe(0);
  });

  test("by several processes at one time makes one key", async () => {
    const bench = new RedisBench({ keyPrefix: ownPrefix() });
    const opened = await Promise.all(Array.from({ length: 5 }, () => bench.openShared()));
    expect(new Set(opened.map(({ refreshTokenKey }) => refreshTokenKey.toString("hex"))).size).toBe(1);
  });
});
