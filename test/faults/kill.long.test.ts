import { expect, test } from "vitest";
import { mustString } from "../support/e2e-json.ts";
import { Served } from "../support/e2e-served.ts";
import { newSigningKey, sendJson } from "../support/scripted-authorization-server.ts";

/** `npm run accept` says 100. */
const kills = Number(process.env["LATCHKEY_KILLS"] ?? "10");

test(`F8 kill -9 between the reply and its commit, ${kills} times: ${kills} logins are alive afterwards (I4)`, {
  timeout: kills * 30_000,
}, async ({ onTestFinished }) => {
  const served = await Served.prepare(onTestFinished);
  const { server } = served;
  const handles: string[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const subject = `user-${kill}`;
    // What was refreshed once lives for hours: only the newest login session is due.
    const key = server.key;
    server.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [key.publicJwk] }));
    const idToken = await server.idToken({ sub: subject });
    server.on("/token", (_request, response) =>
      sendJson(response, 200, {
        token_type: "Bearer",
        access_token: `at-${kill}-1`,
        refresh_token: `rt-${kill}-1`,
        expires_in: 4,
        id_token: idToken,
      }),
    );
    const process = await served.start();
    const { json } = await process.api("POST", "", { id_token: idToken, refresh_token: `rt-${kill}-0` });
    const handle = mustString(json, "id");
    handles.push(handle);
    // The reply comes, but cannot be verified before the process is gone.
    server.key = await newSigningKey("ES256", `key-${kill}`);
    server.on("/jwks", (_request, response) => sendJson(response, 503, {}));
    const last = await server.idToken({ sub: subject });
    server.on("/token", (_request, response) =>
      sendJson(response, 200, {
        token_type: "Bearer",
        access_token: `at-${kill}-2`,
        refresh_token: `rt-${kill}-2`,
        expires_in: 36_000,
        id_token: last,
      }),
    );
    await served.recordWhen(handle, "waiting to be verified", ({ pending }) => pending !== undefined);
    await process.kill();
    const newest = server.key;
    server.on("/jwks", (_request, response) => sendJson(response, 200, { keys: [newest.publicJwk] }));
    const after = await served.start();
    await served.recordWhen(handle, "live", ({ state, generation }) => state === "live" && generation === 2);
    await after.kill();
  }
  for (const [index, handle] of handles.entries())
    expect(await served.record(handle)).toMatchObject({ state: "live", generation: 2, refreshToken: `rt-${index}-2` });
  expect(served.presented()).toEqual(handles.flatMap((_, index) => [`rt-${index}-0`, `rt-${index}-1`]));
});
