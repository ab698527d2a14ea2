import { expect, onTestFinished, test } from "vitest";
import { mustString } from "../support/e2e-json.ts";
import { Served } from "../support/e2e-served.ts";
import { eventually } from "../support/e2e-wait.ts";
import { clockOff, withoutFakeTime } from "../support/faketime.ts";
import { sendText } from "../support/scripted-authorization-server.ts";

for (const [name, offset, ahead] of [
  ["2 minutes ahead", "+2m", 120],
  ["an hour behind", "-1h", -3600],
  ["a day ahead", "+1d", 86_400],
] as const)
  test(`a process whose clock is ${name} takes a login over, keeps it alive, says what is wrong and logs out (F25, core.md section 7)`, async ({
    skip,
  }) => {
    skip(withoutFakeTime !== undefined, withoutFakeTime);
    const served = await Served.prepare(onTestFinished);
    const { server } = served;
    await served.answerTokens(...[1, 2, 3, 4].map((turn) => ({ access_token: `at-${turn}`, refresh_token: `rt-${turn}`, expires_in: 3 })));
    server.on("/revoke", (_request, response) => sendText(response, 200, ""));
    const serving = await served.start(0, clockOff(offset));
    const { handle } = await serving.importLogin(server);
    // Each of these brings an ID token that is dated by the authorization server.
    const record = await served.recordWhen(handle, "refreshed three times", ({ generation }) => generation >= 3);
    expect(served.presented().slice(0, 3)).toEqual(["rt-0", "rt-1", "rt-2"]);
    // By its own clock, from when the request was sent.
    const newest = record.accessTokens[0];
    expect((newest?.expiresAt ?? 0) - (newest?.obtainedAt ?? 0)).toBe(3_000);
    expect(Math.abs((newest?.obtainedAt ?? 0) - Date.now() - ahead * 1000)).toBeLessThan(60_000);
    const { json } = await serving.api("GET", `/${handle}`);
    expect(json["state"]).toMatch(/^(live|refreshing)$/);
    const side = ahead > 0 ? "ahead of" : "behind";
    expect(mustString(json, "clock")).toContain(`s ${side} that of ${server.issuer}`);
    const said = await eventually(
      "the log says it",
      () => /"message":"This machine's clock differs[^\n]*/.exec(serving.program.stderr)?.[0],
    );
    const measured = Number(/"clockAheadSeconds":(-?\d+)/.exec(said)?.[1]);
    expect(Math.abs(measured - ahead)).toBeLessThanOrEqual(2);
    expect((await serving.api("DELETE", `/${handle}`)).json).toMatchObject({ state: "ended" });
    await eventually(
      "the refresh token is revoked",
      () => server.to("/revoke").some(({ form }) => /^rt-/.test(form.get("token") ?? "")) || undefined,
    );
    expect(serving.program.stderr.match(/This machine's clock differs/g)).toHaveLength(1);
  }, 40_000);
