import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionKeyAuthenticator } from "../../src/session/authenticator.ts";
import type { RefreshToken } from "../../src/session/login-session.ts";
import { type Answer, parseJson } from "./test-browser.ts";
import { startWebBench, type WebBench } from "./web-bench.ts";

const secret = "import-secret-of-the-backend";
let bench: WebBench;

beforeEach(async () => {
  bench = await startWebBench({ settings: { importSecret: secret } });
});

afterEach(() => bench.close());

/** As a backend calls: no cookie, no Origin. */
async function call(
  method: string,
  path: string,
  options: { body?: unknown; bearer?: string } = {},
): Promise<Pick<Answer, "status" | "headers" | "json">> {
  const response = await fetch(new URL(path, bench.url), {
    method,
    headers: {
      "content-type": "application/json",
      ...(options.bearer === "" ? {} : { authorization: `Bearer ${options.bearer ?? secret}` }),
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  return { status: response.status, headers: response.headers, json: parseJson(await response.text()) };
}

function tokensOf(user: string): { id_token: string; refresh_token: RefreshToken | undefined; access_token: string; expires_in: number } {
  const { tokens } = bench.server.signIn(user);
  return { id_token: String(tokens.idToken), refresh_token: tokens.refreshToken, access_token: tokens.accessToken, expires_in: 30 };
}

describe("import by a trusted backend", () => {
  it("makes a login session: 201 with the handle and a connection key that works", async () => {
    const { status, headers, json } = await call("POST", "/api/sessions", { body: tokensOf("alice") });
    expect(status).toBe(201);
    expect(json).toMatchObject({ subject: "alice", state: "live", origin: "import", key: expect.stringMatching(/^lk_/) });
    expect(headers.get("location")).toBe(`/api/sessions/${String(json.id)}`);
    const { id: loginSessionId } = await bench.mustGet(String(json.id));
    const authenticator = new ConnectionKeyAuthenticator(bench.store.connectionKeys, bench.clock);
    expect(await authenticator.authenticate(`Bearer ${String(json.key)}`)).toMatchObject({ credential: { loginSessionId } });
  });

  it("answers 200 with the same handle for a refresh token that is current, and 409 with it for a consumed one (F47)", async () => {
    const tokens = tokensOf("alice");
    const { json } = await call("POST", "/api/sessions", { body: tokens });
    const current = (await bench.mustGet(String(json.id))).refreshToken;
    const again = await call("POST", "/api/sessions", { body: { ...tokens, refresh_token: current } });
    expect(again).toMatchObject({ status: 200, json: { id: json.id } });
    expect(again.json.key).toBeUndefined();
    const consumed = await call("POST", "/api/sessions", { body: tokens });
    expect(consumed).toMatchObject({ status: 409, json: { code: "conflict", login: json.id } });
  });

  it("refuses a wrong shape with all problems at once, and quotes nothing of the body", async () => {
    const { status, json } = await call("POST", "/api/sessions", { body: { id_token: 5, access_token: 1, expires_in: "soon" } });
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: "invalid_request" });
    expect(json.problems).toHaveLength(4);
  });

  it("refuses what the check of the ID token refuses, with its reasons (R17)", async () => {
    const { status, json } = await call("POST", "/api/sessions", { body: { ...tokensOf("alice"), id_token: "id-alice-1-bad" } });
    expect(status).toBe(400);
    expect(json.problems).toEqual(["id_token has a wrong signature"]);
    expect(await bench.replica.core.sessions.listByUser(bench.server.issuer, "alice")).toEqual([]);
  });

  it("is refused without the secret and with a wrong one, in an audit event too", async () => {
    const body = tokensOf("alice");
    for (const bearer of ["", "wrong", `${secret}x`, "lk_demo_alice"])
      expect(await call("POST", "/api/sessions", { body, bearer })).toMatchObject({ status: 401, json: { code: "unauthorized" } });
    expect(bench.replica.events.filter(({ event }) => event === "import_refused").map(({ reason }) => reason)).toEqual([
      "no_secret",
      "wrong_secret",
      "wrong_secret",
      "wrong_secret",
    ]);
    expect(bench.server.presentations).toEqual([]);
  });

  it("is off without a secret in the configuration", async () => {
    await bench.close();
    bench = await startWebBench();
    expect(await call("POST", "/api/sessions", { body: tokensOf("alice") })).toMatchObject({ status: 403, json: { code: "forbidden" } });
  });

  it("lets the backend read and end what it imported, twice with the same answer", async () => {
    const { json } = await call("POST", "/api/sessions", { body: tokensOf("alice") });
    const path = `/api/sessions/${String(json.id)}`;
    expect(await call("GET", path)).toMatchObject({ status: 200, json: { id: json.id, state: "live" } });
    const first = await call("DELETE", path);
    expect(first).toMatchObject({ status: 200, json: { id: json.id, state: "ended", revocation: "done" } });
    expect((await call("DELETE", path)).json).toEqual(first.json);
    expect((await bench.mustGet(String(json.id))).reason?.code).toBe("import_owner");
  });

  it("does not let the backend read or end anything else, nor list, nor make keys", async () => {
    const { handle } = await bench.browser().signIn("alice");
    for (const method of ["GET", "DELETE"]) expect(await call(method, `/api/sessions/${handle}`)).toMatchObject({ status: 404 });
    expect(await call("GET", "/api/sessions")).toMatchObject({ status: 401 });
    expect(await call("POST", `/api/sessions/${handle}/keys`, { body: { name: "x" } })).toMatchObject({ status: 401 });
    expect((await bench.mustGet(handle)).state).toBe("live");
  });

  it("is seen by its user in a browser, who may end it", async () => {
    const { json } = await call("POST", "/api/sessions", { body: tokensOf("alice") });
    const alice = await bench.browser().signIn("alice");
    expect((await alice.get(`/api/sessions/${String(json.id)}`)).json).toMatchObject({ origin: "import" });
    expect((await alice.delete(`/api/sessions/${String(json.id)}`)).status).toBe(200);
  });
});
