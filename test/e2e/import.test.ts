import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { McpClient } from "../support/e2e-clients.ts";
import { type Fields, mustString, parseFields } from "../support/e2e-json.ts";
import { Program } from "../support/e2e-process.ts";
import { findHistoryFaults } from "../support/e2e-token-history.ts";
import { World } from "../support/e2e-world.ts";
import { newSigningKey, ScriptedAuthorizationServer, sendJson } from "../support/scripted-authorization-server.ts";

const secret = "import-secret-of-the-backend-0123456789";
const hour = 3600;

interface ImportAnswer {
  readonly status: number;
  readonly json: Fields;
}

async function importInto(url: string, body: Fields, bearer = secret): Promise<ImportAnswer> {
  const response = await fetch(`${url}/api/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: parseFields(await response.text()) };
}

describe.concurrent("an import into latchkey serve", () => {
  test("takes a login over once, whoever repeats it, and the backend ends it (R17, F47)", async ({ onTestFinished }) => {
    const authorizationServer = await startDemoAuthorizationServer({ accessTokenSeconds: 30 });
    onTestFinished(() => authorizationServer.close());
    const folder = await mkdtemp(join(tmpdir(), "latchkey-e2e-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const { issuer, clientId } = authorizationServer;
    const config = {
      authorizationServers: { main: { issuer, clientId, clientSecret: fromEnvironment("CLIENT_SECRET") } },
      import: { secret: fromEnvironment("IMPORT_SECRET") },
    };
    await writeFile(join(folder, "latchkey.config.json"), JSON.stringify(config));
    const env = { CLIENT_SECRET: authorizationServer.clientSecret, IMPORT_SECRET: secret };
    const serve = Program.latchkey(onTestFinished, ["serve", "--port", "0"], { cwd: folder, env });
    const url = mustString(parseFields((await serve.says(/^\{.*\}$/m))[0]), "url");

    const tokens = await authorizationServer.signIn("uma");
    const body = { id_token: tokens.idToken, access_token: tokens.accessToken, refresh_token: tokens.refreshToken, expires_in: 30 };
    expect((await importInto(url, body, "another-secret-another-secret-another")).status).toBe(401);
    const first = await importInto(url, body);
    expect(first).toMatchObject({ status: 201, json: { subject: "uma", state: "live", key: expect.stringMatching(/^lk_/) } });
    const client = await McpClient.connectHttp("http", url, mustString(first.json, "key"));
    onTestFinished(() => client.close());
    expect(await client.whoami()).toBe("uma");
    // What was imported has been spent on the refresh that made the login session: a retry finds out, and where it went.
    expect(await importInto(url, body)).toMatchObject({ status: 409, json: { code: "conflict", login: first.json.id } });
    const owner = { headers: { authorization: `Bearer ${secret}` } };
    const one = `${url}/api/sessions/${mustString(first.json, "id")}`;
    expect(await (await fetch(one, owner)).json()).toMatchObject({ id: first.json.id, state: "live", origin: "import" });
    expect(await (await fetch(one, { ...owner, method: "DELETE" })).json()).toMatchObject({ state: "ended", revocation: "done" });
    await expect(client.whoami()).rejects.toThrow();
    expect(findHistoryFaults(authorizationServer.events())).toEqual([]);
    serve.child.kill("SIGTERM");
    expect((await serve.exit).code).toBe(0);
    expect(serve.stdout + serve.stderr).not.toContain(secret);
  });
});

describe.concurrent("an import that is refused", () => {
  test("brings another user's refresh token: nothing is made, and what came back is revoked (R17, I7, F47)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { configure: (config) => ({ ...config, import: { secret } }) });
    const [victor, wendy] = [await world.authorizationServer.signIn("victor"), await world.authorizationServer.signIn("wendy")];
    const answer = await importInto(world.url, { id_token: victor.idToken, refresh_token: wendy.refreshToken });
    expect(answer).toMatchObject({ status: 400, json: { code: "invalid_request" } });
    expect(answer.json.problems).toEqual([expect.stringContaining("refresh_token belongs to another user than id_token")]);
    expect(world.audit("login_imported")).toEqual([]);
    for (const name of ["victor", "wendy"]) expect(await recordsOf(world, world.authorizationServer.issuer, name)).toEqual([]);
    expect(world.events("wendy").map(({ kind }) => kind)).toEqual(["issued", "refreshed", "revoked"]);
    // Victor's own login is as it was.
    expect((await importInto(world.url, { id_token: victor.idToken, refresh_token: victor.refreshToken })).status).toBe(201);
  });

  test("has a dead refresh token, or none at all (R17)", async ({ onTestFinished }) => {
    const world = await World.start(onTestFinished, { configure: (config) => ({ ...config, import: { secret } }) });
    const { idToken } = await world.authorizationServer.signIn("xavier");
    const dead = await importInto(world.url, { id_token: idToken, refresh_token: "never-was-one" });
    expect(dead).toMatchObject({ status: 400, json: { code: "invalid_request" } });
    expect(String(dead.json.detail)).toContain("refresh_token is not valid");
    expect((await importInto(world.url, {})).json.problems).toEqual(["id_token must be a string", "refresh_token must be a string"]);
    expect(await recordsOf(world, world.authorizationServer.issuer, "xavier")).toEqual([]);
  });

  test("has an ID token that is expired, malformed, foreign-signed, or for somebody else; no refresh token is spent on it (R17)", async ({
    onTestFinished,
  }) => {
    const server = await ScriptedAuthorizationServer.start();
    onTestFinished(() => server.close());
    const world = await worldFor(onTestFinished, server);
    const now = Math.floor(Date.now() / 1000);
    const bad: readonly { readonly idToken: string; readonly problem: string }[] = [
      { idToken: "not.a.jwt", problem: "not a signed JWT" },
      { idToken: await server.idToken({ iat: now - 30 * hour, exp: now - 25 * hour }), problem: "expired 9" },
      { idToken: await server.idToken({ iat: now + hour, exp: now + 2 * hour }), problem: "in the future" },
      { idToken: await server.idToken({}, { key: await newSigningKey("ES256", server.key.kid) }), problem: "signature" },
      { idToken: await server.idToken({}, { key: await newSigningKey("ES256", "of-nobody") }), problem: "key" },
      { idToken: await server.idToken({ aud: "another-client" }), problem: "not for the client" },
      { idToken: await server.idToken({ iss: "http://127.0.0.1:9" }), problem: "issuer" },
      { idToken: await server.idToken({ sub: undefined }), problem: "sub" },
      { idToken: unsigned(await server.idToken()), problem: "" },
    ];
    for (const { idToken, problem } of bad) {
      const { status, json } = await importInto(world.url, { id_token: idToken, refresh_token: "rt-1" });
      expect({ problem, status, code: json.code }).toEqual({ problem, status: 400, code: "invalid_request" });
      expect(JSON.stringify(json.problems)).toContain(problem);
      expect(JSON.stringify(json)).not.toContain(idToken);
    }
    expect(server.to("/token")).toEqual([]);
    expect(await recordsOf(world, server.issuer, "alice")).toEqual([]);
    expect(world.audit("import_refused")).toHaveLength(bad.length);
  });

  test("is none when the ID token expired within the last day and the refresh proves the user (R17, F47)", async ({ onTestFinished }) => {
    const server = await ScriptedAuthorizationServer.start();
    onTestFinished(() => server.close());
    server.on("/token", async (_request, response) =>
      sendJson(response, 200, {
        access_token: "at-2",
        token_type: "Bearer",
        expires_in: 300,
        refresh_token: "rt-2",
        id_token: await server.idToken(),
      }),
    );
    const world = await worldFor(onTestFinished, server);
    const now = Math.floor(Date.now() / 1000);
    const idToken = await server.idToken({ iat: now - 23 * hour, exp: now - 22 * hour });
    expect((await importInto(world.url, { id_token: idToken, refresh_token: "rt-1" })).status).toBe(201);
    expect(server.to("/token")).toHaveLength(1);
    expect(await recordsOf(world, server.issuer, "alice")).toHaveLength(1);
  });
});

function worldFor(atEnd: Parameters<typeof World.start>[0], { issuer }: ScriptedAuthorizationServer): Promise<World> {
  const main = { issuer, clientId: "client-1", clientSecret: "the-client-secret" };
  return World.start(atEnd, {
    configure: () =>
      configSchema.parse({ server: { port: 0 }, store: { type: "memory" }, authorizationServers: { main }, import: { secret } }),
  });
}

function recordsOf({ server }: World, issuer: string, subject: string) {
  return server.core.store.loginSessions.listByUser(issuer, subject);
}

/** How a configuration file names a variable. */
function fromEnvironment(name: string): string {
  return `$${`{${name}}`}`;
}

/** The same claims under `alg: none`. */
function unsigned(idToken: string): string {
  const [, payload = ""] = idToken.split(".");
  return `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`;
}
