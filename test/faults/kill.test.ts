import { describe, expect, test } from "vitest";
import { Served } from "../support/e2e-served.ts";
import { eventually } from "../support/e2e-wait.ts";
import { newSigningKey, sendJson } from "../support/scripted-authorization-server.ts";

const patient = 60_000;

describe.concurrent("latchkey serve, killed and started again on its SQLite file", () => {
  test("F7 after the claim: waits for the attempt's end, presents the same refresh token once more, and is live (I1, I2)", {
    timeout: patient,
  }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 4 });
    const first = await served.start();
    const { handle } = await first.importLogin(served.server);
    served.server.on("/token", () => {});
    await served.server.next("/token");
    await first.kill();
    const claimed = await served.record(handle);
    expect(claimed).toMatchObject({ state: "refreshing", generation: 1, refreshToken: "rt-1" });
    const deadline = claimed.attempts[0]?.deadline ?? 0;

    await served.answerTokens({ access_token: "at-2", refresh_token: "rt-2", expires_in: 600 });
    await served.start();
    await served.server.next("/token");
    expect(Date.now()).toBeGreaterThan(deadline);
    const live = await served.recordWhen(handle, "live", ({ state }) => state === "live");
    expect(live).toMatchObject({ generation: 2, refreshToken: "rt-2", attempts: [] });
    expect(served.presented()).toEqual(["rt-0", "rt-1", "rt-1"]);
  });

  test("F8 after the reply: the kept reply is verified and published, without another presentation (I4)", {
    timeout: patient,
  }, async ({ onTestFinished }) => {
    const { served, handle } = await killedWithPendingReply(onTestFinished, "alice");
    expect(await served.record(handle)).toMatchObject({ state: "refreshing", generation: 1, refreshToken: "rt-1" });
    await served.start();
    const live = await served.recordWhen(handle, "live", ({ state }) => state === "live");
    expect(live).toMatchObject({ generation: 2, refreshToken: "rt-2", accessTokens: [{ accessToken: "at-2" }] });
    expect(live.pending).toBeUndefined();
    expect(served.presented()).toEqual(["rt-0", "rt-1"]);
  });

  test("F8 after the reply of an import, before its login session is stored: it is there afterwards, and a retry is told of it (I4, F47)", {
    timeout: patient,
  }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    const { server } = served;
    const handed = { id_token: await server.idToken(), refresh_token: "rt-0" };
    const first = await served.start();
    // What was handed over can be checked; the reply is signed by a key that nobody has published yet.
    const keys = [server.key.publicJwk];
    server.key = await newSigningKey("ES256", "key-2");
    await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 600 });
    let looked = 0;
    server.on("/jwks", (_request, response) => {
      looked += 1;
      sendJson(response, 200, { keys });
    });
    const lost = first.api("POST", "", handed).catch(() => "lost");
    await server.next("/token");
    const before = looked;
    // The key set is asked for again five seconds after it was fetched.
    await eventually("the reply cannot be verified", () => looked > before, 30_000);
    await first.kill();
    expect(await lost).toBe("lost");
    expect(await served.store.loginSessions.listByUser(server.issuer, "alice")).toEqual([]);

    server.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [...keys, server.key.publicJwk] }));
    const second = await served.start();
    const isThere = async () => {
      const records = await served.store.loginSessions.listByUser(server.issuer, "alice");
      return records.length > 0 ? records : undefined;
    };
    const [record] = await eventually("the login session is there", isThere, 20_000);
    expect(record).toMatchObject({ state: "live", refreshToken: "rt-1", origin: { kind: "import" } });
    expect(await second.api("POST", "", handed)).toMatchObject({ status: 409, json: { login: record?.handle } });
    expect(served.presented()).toEqual(["rt-0"]);
  });

  test("F18 after a reply for another user: it is never published, and the login session needs a new login (I7)", {
    timeout: patient,
  }, async ({ onTestFinished }) => {
    const { served, handle } = await killedWithPendingReply(onTestFinished, "mallory");
    served.server.on("/revoke", (_request, response) => sendJson(response, 200, {}));
    await served.start();
    const refused = await served.recordWhen(handle, "refused", ({ state }) => state === "login_required");
    expect(refused).toMatchObject({ generation: 1, accessTokens: [], reason: { code: "identity" } });
    expect(served.presented()).toEqual(["rt-0", "rt-1"]);
    await eventually("what came for the other user is revoked", () => revoked(served).includes("rt-2"));
  });
});

/** A process that has stored the reply of a refresh but cannot verify it, since the keys cannot be had, and is killed then. */
async function killedWithPendingReply(atEnd: Parameters<typeof Served.prepare>[0], subject: string) {
  const served = await Served.prepare(atEnd);
  await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 4 });
  const first = await served.start();
  const { handle } = await first.importLogin(served.server);
  // The authorization server changes its key, and nobody can fetch the new one.
  served.server.key = await newSigningKey("ES256", "key-2");
  served.server.on("/jwks", (_request, response) => sendJson(response, 503, {}));
  const idToken = await served.server.idToken({ sub: subject });
  await served.answerTokens({ access_token: "at-2", refresh_token: "rt-2", expires_in: 600, id_token: idToken });
  await served.recordWhen(handle, "waiting for its verification", ({ pending }) => pending !== undefined);
  await first.kill();
  served.server.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [served.server.key.publicJwk] }));
  return { served, handle };
}

function revoked({ server }: Served): readonly string[] {
  return server.to("/revoke").map(({ form }) => form.get("token") ?? "");
}
