import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { Served } from "../support/e2e-served.ts";
import { eventually } from "../support/e2e-wait.ts";
import { sendJson } from "../support/scripted-authorization-server.ts";

const patient = 60_000;

describe.concurrent("a reply that arrives while another program holds the store's file", () => {
  test("F9 is in the journal, and in the store once the file is free (I4)", { timeout: patient }, async ({ onTestFinished }) => {
    const { served, handle, free } = await keptWhileHeld(onTestFinished);
    free();
    const live = await served.recordWhen(handle, "live", ({ generation }) => generation === 2);
    expect(live).toMatchObject({ state: "live", refreshToken: "rt-2", accessTokens: [{ accessToken: "at-2" }] });
    await eventually("the journal is empty", () => keptReplies(served) === 0);
    expect(served.presented()).toEqual(["rt-0", "rt-1"]);
  });

  test("F9 is found after kill -9 by the next process: live, without another presentation (F8, I1, I4)", { timeout: patient }, async ({
    onTestFinished,
  }) => {
    const { served, handle, free, first } = await keptWhileHeld(onTestFinished);
    await first.kill();
    free();
    const killed = await served.record(handle);
    expect(killed).toMatchObject({ state: "refreshing", generation: 1, refreshToken: "rt-1" });
    expect(killed.pending).toBeUndefined();
    await served.start();
    const live = await served.recordWhen(handle, "live", ({ state }) => state === "live");
    expect(live).toMatchObject({ generation: 2, refreshToken: "rt-2", accessTokens: [{ accessToken: "at-2" }] });
    expect(served.presented()).toEqual(["rt-0", "rt-1"]);
    expect(keptReplies(served)).toBe(0);
  });

  test("F9 is found after kill -9 by another process that runs on the same file (F36, I4)", {
    timeout: patient,
  }, async ({ onTestFinished }) => {
    const { served, handle, free, first } = await keptWhileHeld(onTestFinished, true);
    await first.kill();
    free();
    await served.recordWhen(handle, "in the store", ({ pending }) => pending !== undefined);
    expect(served.presented()).toEqual(["rt-0", "rt-1"]);
  });
});

/** A process that has claimed and presented, and whose reply comes while the store's file is held by somebody else. */
async function keptWhileHeld(atEnd: Parameters<typeof Served.prepare>[0], withAnother = false) {
  const served = await Served.prepare(atEnd);
  await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 4 });
  if (withAnother) await startWithoutHeartbeat(served);
  const first = await served.start();
  const { handle } = await first.importLogin(served.server);
  const held = new DatabaseSync(join(served.folder, "latchkey.db"), { timeout: 1_000 });
  atEnd(async () => held.close());
  const idToken = await served.server.idToken();
  const body = { token_type: "Bearer", access_token: "at-2", refresh_token: "rt-2", expires_in: 600, id_token: idToken };
  served.server.on("/token", (_request, response) => {
    held.exec("BEGIN IMMEDIATE");
    sendJson(response, 200, body);
  });
  await served.server.next("/token");
  await eventually("the reply is in the journal", () => keptReplies(served) === 1);
  return { served, handle, first, free: () => held.exec("ROLLBACK") };
}

/** A process that presents nothing by itself. */
async function startWithoutHeartbeat(served: Served): Promise<void> {
  const file = join(served.folder, "latchkey.config.json");
  const before = readFileSync(file, "utf8");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(before), heartbeat: { intervalSeconds: 60 } }));
  await served.start();
  writeFileSync(file, before);
}

/** How many replies count in the files of the journal. */
function keptReplies({ folder }: Served): number {
  const directory = join(folder, "latchkey.db.replies");
  const files = readdirSync(directory).filter((name) => name.endsWith(".replies"));
  return files.flatMap((name) => readFileSync(join(directory, name), "latin1").match(/\+[\w-]{22} \d+ [\w.-]+\n/g) ?? []).length;
}
