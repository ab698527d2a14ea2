import { expect, test } from "vitest";
import type { LoginSession } from "../../src/session/login-session.ts";
import { Served } from "../support/e2e-served.ts";
import { eventually } from "../support/e2e-wait.ts";
import { sendJson } from "../support/scripted-authorization-server.ts";
import { Hold } from "../support/token-bench.ts";

/** A process that stands still while its reply comes, past its attempt's deadline, beside another one on the same store. */
async function stopped(atEnd: Parameters<typeof Served.prepare>[0], graceSeconds: number | undefined) {
  const served = await Served.prepare(atEnd, graceSeconds === undefined ? {} : { reuseLeewaySeconds: graceSeconds });
  const { server } = served;
  await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 6 });
  server.on("/introspect", ({ form }, response) => sendJson(response, 200, { active: form.get("token") === current }));
  server.on("/revoke", (_request, response) => sendJson(response, 200, {}));
  let current = "rt-1";
  const holder = await served.start();
  const { handle } = await holder.importLogin(server);
  const hold = new Hold();
  const reply = { token_type: "Bearer", access_token: "at-2", refresh_token: "rt-2", expires_in: 600, id_token: await server.idToken() };
  server.on("/token", async (_request, response) => {
    current = "rt-2";
    await hold.wait();
    sendJson(response, 200, reply);
  });
  await eventually("introspection has proved right", () => server.to("/introspect").length > 0, 20_000);
  await eventually("it is presented", () => hold.size === 1, 20_000);
  holder.program.child.kill("SIGSTOP");
  const record = await served.record(handle);
  hold.open();
  return { served, handle, holder, deadline: record.attempts[0]?.deadline ?? 0 };
}

test("F11 SIGSTOP of the holder past its lease: its late reply is adopted, no reuse, nothing revoked", async ({ onTestFinished }) => {
  const { served, handle, holder, deadline } = await stopped(onTestFinished, undefined);
  await served.start();
  // The peer asks by introspection and does not present it: uncertain, and dead once the access token has ended.
  await served.recordWhen(handle, "given up on", ({ state }) => state !== "refreshing", 40_000);
  expect(Date.now()).toBeGreaterThan(deadline);
  expect(served.presented()).toEqual(["rt-0", "rt-1"]);
  holder.program.child.kill("SIGCONT");
  const live = await served.recordWhen(handle, "live", isLive, 40_000);
  expect(live).toMatchObject({ refreshToken: "rt-2", generation: 2, accessTokens: [{ accessToken: "at-2" }] });
  expect(served.presented()).toEqual(["rt-0", "rt-1"]);
  expect(served.server.to("/revoke")).toEqual([]);
});

test("F11 SIGSTOP of the holder, another one goes on within the grace period: the late reply is dropped, never revoked", async ({
  onTestFinished,
}) => {
  const { served, handle, holder } = await stopped(onTestFinished, 60);
  await served.start();
  const live = await served.recordWhen(handle, "live", isLive, 40_000);
  expect(live).toMatchObject({ refreshToken: "rt-2", generation: 2 });
  expect(served.presented()).toEqual(["rt-0", "rt-1", "rt-1"]);
  holder.program.child.kill("SIGCONT");
  await eventually("it says so", () => holder.program.stderr.includes("late_reply_dropped"));
  expect(await served.record(handle)).toMatchObject({ state: "live", refreshToken: "rt-2", generation: 2 });
  expect(served.server.to("/revoke")).toEqual([]);
});

function isLive({ state, generation }: LoginSession): boolean {
  return state === "live" && generation === 2;
}
