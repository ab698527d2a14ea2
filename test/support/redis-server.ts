import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { sleep, systemClock } from "../../src/clock.ts";

/** A Redis server of one test, on a free port of 127.0.0.1, with a folder of its own. */
export class OwnRedisServer {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), "latchkey-redis-server-"));
  #process: ChildProcess | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  /** `args`: as on the command line of redis-server. It ends with the test. */
  static async start(...args: readonly string[]): Promise<OwnRedisServer> {
    const server = new OwnRedisServer(await freePort(), args);
    onTestFinished(() => server.end());
    await server.startAgain();
    return server;
  }

  /** A cluster of one node that has all slots. Whoever starts it ends it. */
  static async startCluster(): Promise<OwnRedisServer> {
    const args = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port", String(await freePort())];
    const server = new OwnRedisServer(await freePort(), args);
    await server.startAgain();
    await server.ask((redis) => redis.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383"));
    while (!String(await server.ask((redis) => redis.cluster("INFO"))).includes("cluster_state:ok")) await sleep(systemClock, 50);
    return server;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async startAgain(): Promise<void> {
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder, "--save", "", ...this.#args];
    this.#process = spawn("redis-server", args, { stdio: "ignore" });
    for (;;) {
      if (this.#process.exitCode !== null) throw new Error("redis-server ended at its start.");
      if (await this.ask((redis) => redis.ping()).catch(() => undefined)) return;
      await sleep(systemClock, 20);
    }
  }

  /** As by the power going. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const password = this.#args[this.#args.indexOf("--requirepass") + 1] ?? "";
    const auth = this.#args.includes("--requirepass") ? { password } : {};
    const redis = new Redis(this.port, "127.0.0.1", { ...auth, lazyConnect: true, retryStrategy: () => null });
    redis.on("error", () => {});
    try {
      await redis.connect().catch(() => {});
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("There is no free port.");
  return address.port;
}
