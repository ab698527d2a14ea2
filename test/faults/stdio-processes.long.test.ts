import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { FaultServer, RefreshEntry } from "../../src/testing/index.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import type { ToolAnswer } from "../support/e2e-clients.ts";
import { LocalWorld } from "../support/e2e-local.ts";
import type { StdioConnection } from "../support/e2e-stdio.ts";
import { nothingHappensFor } from "../support/e2e-wait.ts";
import type { AtEnd } from "../support/e2e-world.ts";

const minutes = Number(process.env["LATCHKEY_SOAK_MINUTES"] ?? "1");
const processes = 6;
const accessTokenSeconds = 30;
/** A reply is so long on its way: long enough that some process is killed while it waits for one. */
const replyMs = 400;

test(`F36 ${processes} stdio processes on one profile, killed at random for ${minutes} min: no reuse, each generation presented once, no call of the others fails (I1, I4, R1)`, async ({
  onTestFinished,
}) => {
  const { late } = await run(onTestFinished, false);
  expect(late).toBe(0);
});

test(`F36 ${processes} stdio processes, half of them killed at every other refresh for ${minutes} min: the same, but that a call may have to be repeated`, async ({
  onTestFinished,
}) => {
  const { late, calls } = await run(onTestFinished, true);
  // After two kills in a row, both of the one that presents, the access token has ended before the second one is given up on.
  expect(late).toBeLessThan(calls / 100);
});

async function run(onTestFinished: AtEnd, atRefreshes: boolean): Promise<{ readonly calls: number; readonly late: number }> {
  const world = await LocalWorld.start(onTestFinished, {
    behaviours: [
      { kind: "access_token_life", seconds: accessTokenSeconds },
      { kind: "slow", milliseconds: replyMs, at: "after" },
    ],
  });
  const { server } = world;
  const tools = [{ name: "ping", description: "Calls the API.", api: "api", method: "GET", path: "/ping" }];
  const api = await startApi(onTestFinished, server);
  const args = world.config("alice", {}, { apis: { api: { baseUrl: api } }, tools });
  await world.logIn("alice");

  const random = new SeededRandom(36).next;
  const end = performance.now() + minutes * 60_000;
  const slots = Array.from({ length: processes }, () => new Slot());
  const failures: string[] = [];
  let calls = 0;
  /** Calls that were told to try again. */
  let late = 0;
  /** Logins that died, and the one who signs in again for all. */
  let lost = 0;
  let repair: Promise<unknown> | undefined;

  const work = async (slot: Slot): Promise<void> => {
    while (performance.now() < end) {
      slot.connection ??= await world.connect(args);
      const { connection } = slot;
      const epoch = lost;
      const answer = await connection.client.call("ping").catch((error: unknown) => String(error));
      calls += 1;
      if (slot.killed.has(connection.pid)) slot.connection = undefined;
      else if (isLost(answer)) {
        if (epoch === lost && repair === undefined) {
          lost += 1;
          repair = world.logIn("alice");
        }
        await repair;
        repair = undefined;
      } else if (typeof answer !== "string" && answer.error?.["retryable"] === true) late += 1;
      else if (typeof answer === "string" || answer.isError) failures.push(typeof answer === "string" ? answer : answer.text);
      await nothingHappensFor(0.1);
    }
  };
  const killOne = (): void => slots[Math.floor(random() * processes)]?.kill();
  const killAnytime = async (): Promise<void> => {
    while (performance.now() < end) {
      await nothingHappensFor(1 + 2 * random());
      killOne();
    }
  };
  /** Three at the very moment of a refresh: half of the times the one that waits for the reply is among them. */
  const killAtRefresh = async (): Promise<void> => {
    while (performance.now() < end) {
      const before = server.requestsTo("refresh");
      await Promise.race([server.nextRequest("refresh"), nothingHappensFor(1)]);
      const now = server.requestsTo("refresh");
      if (now > before && now % 2 === 0) for (let each = 0; each < 3; each += 1) killOne();
    }
  };
  await Promise.all([...slots.map(work), killAnytime(), ...(atRefreshes ? [killAtRefresh()] : [])]);
  await server.settled();

  const { refreshes, reuseEvents, families } = server.ledger;
  const kills = slots.reduce((sum, slot) => sum + slot.killed.size, 0);
  process.stderr.write(
    `F36: ${calls} calls, ${kills} kills, ${refreshes.length} refreshes, ${lost} logins lost with a killed process, ${late} calls told to try again.\n`,
  );
  expect(failures).toEqual([]);
  expect(reuseEvents).toEqual([]);
  expect(repeated(refreshes)).toEqual([]);
  expect(kills).toBeGreaterThan(minutes * 5);
  // One family for each login; all but the last are over, and each that was lost ended with a reply that reached nobody.
  expect(families).toHaveLength(lost + 1);
  for (const { family, generation } of families.slice(0, lost)) {
    const last = refreshes.findLast((entry) => entry.family === family);
    expect(last).toMatchObject({ outcome: "rotated", generation: generation - 1 });
    expect(slots.some((slot) => slot.wasKilledWithin(last?.receivedAt ?? 0, replyMs + 2_000))).toBe(true);
  }
  return { calls, late };
}

/** Where one client runs after the other, each with a process of its own. */
class Slot {
  connection: StdioConnection | undefined;
  readonly killed = new Set<number>();
  readonly #killedAt: number[] = [];

  /** SIGKILL: nothing is drained, nothing is said. */
  kill(): void {
    const pid = this.connection?.pid;
    if (pid === undefined || this.killed.has(pid)) return;
    this.killed.add(pid);
    this.#killedAt.push(Date.now());
    process.kill(pid, "SIGKILL");
  }

  wasKilledWithin(from: number, ms: number): boolean {
    return this.#killedAt.some((at) => at >= from - 50 && at <= from + ms);
  }
}

function isLost(answer: ToolAnswer | string): boolean {
  return typeof answer !== "string" && answer.error?.["code"] === "login_required" && answer.error["reason"] === "lost_reply";
}

/** Generations that were presented more than once. */
function repeated(refreshes: readonly RefreshEntry[]): readonly string[] {
  const seen = new Map<string, number>();
  for (const { family, generation } of refreshes) seen.set(`${family} ${generation}`, (seen.get(`${family} ${generation}`) ?? 0) + 1);
  return [...seen].flatMap(([generation, times]) => (times > 1 ? [`${generation}: ${times} times`] : []));
}

/** An API that serves whoever has an access token that is alive. Gives its address. */
async function startApi(atEnd: AtEnd, server: FaultServer): Promise<string> {
  const api = createServer((request, response) => {
    const accessToken = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    response.writeHead(server.isAccessTokenActive(accessToken) ? 200 : 401, { "content-type": "application/json" });
    response.end("{}");
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  atEnd(async () => void api.close());
  return `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
}
