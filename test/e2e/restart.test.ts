import { describe, expect, test } from "vitest";
import { McpClient } from "../support/e2e-clients.ts";
import { HttpBrowser, HttpWindow } from "../support/e2e-http-browser.ts";
import { Served } from "../support/e2e-served.ts";
import { eventually } from "../support/e2e-wait.ts";
import { sendJson } from "../support/scripted-authorization-server.ts";

const patient = 60_000;

describe.concurrent("latchkey serve, killed and started again on its SQLite file", () => {
  test("has the login session and its connection key, without a new login", { timeout: patient }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 600 });
    const first = await served.start();
    const { handle, key } = await first.importLogin(served.server);
    await first.kill();
    const second = await served.start(first.port);
    const client = await McpClient.connectHttp("http", second.url, key);
    onTestFinished(() => client.close());
    expect(await client.whoami()).toBe("alice");
    expect(await second.api("GET", `/${handle}`)).toMatchObject({ status: 200, json: { state: "live", subject: "alice" } });
    // The import's one presentation, and none for the restart.
    expect(served.presented()).toEqual(["rt-0"]);
    // A repetition of the import after the restart is known as one: the hash of the refresh token is still the same.
    const again = await second.api("POST", "", { id_token: await served.server.idToken(), refresh_token: "rt-0" });
    expect(again).toMatchObject({ status: 409, json: { login: handle } });
    expect(served.presented()).toEqual(["rt-0"]);
  });

  test("writes nothing but log lines to stderr, on every supported Node", { timeout: patient }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    const { program } = await served.start();
    program.child.kill("SIGTERM");
    const { stderr } = await program.exit;
    const lines = stderr.split("\n").filter((line) => line !== "");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), message: expect.any(String) });
  });

  test("lets a sign-in go on that began before, and the browser stays signed in", { timeout: patient }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    let nonce: string | undefined;
    served.server.on("/authorize", ({ query }, response) => {
      nonce = query.get("nonce") ?? undefined;
      const callback = new URL(query.get("redirect_uri") ?? "");
      callback.search = new URLSearchParams({ code: "code-1", state: query.get("state") ?? "" }).toString();
      response.writeHead(302, { location: callback.href }).end();
    });
    served.server.on("/token", async (_request, response) => {
      const idToken = await served.server.idToken({ nonce });
      sendJson(response, 200, { token_type: "Bearer", access_token: "at-1", refresh_token: "rt-1", expires_in: 600, id_token: idToken });
    });
    const first = await served.start();
    const browser = new HttpBrowser(first.url);
    const away = (await browser.get("/login")).headers.get("location") ?? "";
    expect(away).toContain(served.server.origin);
    await first.kill();
    const second = await served.start(first.port);
    const page = await browser.open(away);
    expect(page).toMatchObject({ status: 200, url: { pathname: expect.stringMatching(/^\/s\/ls_/) } });
    await second.kill();
    await served.start(first.port);
    const window = new HttpWindow(browser, page.url.pathname.slice("/s/".length));
    expect(await window.health()).toMatchObject({ state: "live", subject: "alice" });
  });

  test("pays the revocations that it owed (F21, R7)", { timeout: patient }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 600 });
    served.server.on("/revoke", (_request, response) => sendJson(response, 503, {}));
    const first = await served.start();
    const { handle } = await first.importLogin(served.server);
    expect(await first.api("DELETE", `/${handle}`)).toMatchObject({ status: 200, json: { state: "ended", revocation: "pending" } });
    await served.server.arrival("/revoke");
    await first.kill();
    const before = served.server.to("/revoke").length;
    served.server.on("/revoke", (_request, response) => sendJson(response, 200, {}));
    const second = await served.start();
    await served.recordWhen(handle, "paid", ({ revocation }) => revocation === "done");
    expect(revoked(served).slice(before)).toEqual(expect.arrayContaining(["rt-1", "at-1"]));
    expect(await second.api("DELETE", `/${handle}`)).toMatchObject({ status: 200, json: { state: "ended", revocation: "done" } });
  });
});

describe.concurrent("two processes of latchkey serve on one SQLite file", () => {
  test("serve the same login session, and a logout in one ends it in the other (I12, B9)", { timeout: patient }, async ({
    onTestFinished,
  }) => {
    const served = await Served.prepare(onTestFinished);
    await served.answerTokens({ access_token: "at-1", refresh_token: "rt-1", expires_in: 600 });
    served.server.on("/revoke", (_request, response) => sendJson(response, 200, {}));
    const [one, two] = await Promise.all([served.start(), served.start()]);
    const { handle, key } = await one.importLogin(served.server);
    const client = await McpClient.connectHttp("sse", two.url, key);
    onTestFinished(() => client.close());
    expect(await client.whoami()).toBe("alice");
    expect((await one.api("DELETE", `/${handle}`)).status).toBe(200);
    await eventually("the other process has closed the connection", async () => {
      const refused = await client.whoami().then(
        () => false,
        () => true,
      );
      return refused;
    });
  });

  test("present each refresh token once (R1, I1, F2)", { timeout: patient }, async ({ onTestFinished }) => {
    const served = await Served.prepare(onTestFinished);
    const replies = Array.from({ length: 20 }, (_, index) => ({
      access_token: `at-${index + 1}`,
      refresh_token: `rt-${index + 1}`,
      expires_in: 4,
    }));
    await served.answerTokens(...replies);
    const [one] = await Promise.all([served.start(), served.start()]);
    const { handle } = await one.importLogin(served.server);
    await served.recordWhen(handle, "refreshed a few times", ({ generation }) => generation >= 4, 30_000);
    const presented = served.presented();
    expect(presented).toEqual(presented.map((_, index) => `rt-${index}`));
  });
});

function revoked({ server }: Served): readonly string[] {
  return server.to("/revoke").map(({ form }) => form.get("token") ?? "");
}
