import { PassThrough } from "node:stream";
import { systemClock } from "../../src/clock.ts";
import { serveStdio } from "../../src/transport/stdio.ts";
import { httpTransports } from "./e2e-clients.ts";
import type { HttpBrowser } from "./e2e-http-browser.ts";
import { mustString, parseFields } from "./e2e-json.ts";
import { eventually } from "./e2e-wait.ts";
import type { User, World } from "./e2e-world.ts";

export const importSecret = "canary-import-secret-0123456789abcdef";
const neverIssued = {
  key: "lk_canary-of-a-key-that-was-never-issued-0123456",
  refreshToken: "canary-of-a-refresh-token-that-was-never-issued",
  idToken: "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOiJvZiBhbiBJRCB0b2tlbiJ9.Y2FuYXJ5LXNpZ25hdHVyZS1vZi1uby1rZXk",
  state: "canary-of-a-state-that-was-never-issued-0123456",
  code: "canary-of-a-code-that-was-never-issued-01234567",
};
/** Whatever is presented to Latchkey and is no secret of anybody's, but might have been one. */
export const presented = [...Object.values(neverIssued)];

/**
 * A day in the life of two users: clients of all kinds, a backend that imports, wrong things presented, an authorization
 * server that fails, logouts. Gives what a client on stdio was sent.
 */
export async function playDay(world: World, browsers: readonly [HttpBrowser, HttpBrowser]): Promise<string> {
  const carol = await world.signIn("carol", browsers[0]);
  const dave = await world.signIn("dave", browsers[1]);
  await lookAround(carol);
  const stdio = await overStdio(world, carol);
  await callEverything(world, carol);
  await presentWrongThings(world, carol, dave, browsers[0]);
  await importLogins(world);
  await eventually("everybody was refreshed", () => world.refreshes("carol") > 0 && world.refreshes("dave") > 0);
  await makeItFail(world, carol);
  await endEverything(world, carol, dave, browsers[1]);
  return stdio();
}

async function lookAround({ window, handle }: User): Promise<void> {
  const { browser } = window;
  for (const path of ["/", `/s/${handle}`, "/nowhere", "/health/ready", "/health/live"]) await browser.get(path, { accept: "text/html" });
  for (const path of ["/api/me", "/api/sessions", `/api/sessions/${handle}`, `/api/sessions/${handle}/keys`, "/api/nowhere"])
    await window.get(path);
  const key = (await window.post(`/api/sessions/${handle}/keys`, { name: "short", expiresInSeconds: 1 })).json;
  await window.delete(`/api/sessions/${handle}/keys/${mustString(key, "id")}`);
  await window.post(`/api/sessions/${handle}/keys`, { name: "" });
  // The page's events, to the end of the run.
  const events = new URL(`/api/events?login=${handle}`, browser.origin);
  void fetch(events, { headers: { cookie: browser.cookieHeader(events) } }).then(
    (response) => response.text().catch(() => ""),
    () => {},
  );
}

/** The same core on stdin and stdout, as `latchkey stdio` has it; gives how to end it and what came out. */
async function overStdio(world: World, user: User): Promise<() => Promise<string>> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  let written = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const { registry } = world.server.core;
  const { id } = await world.record(user.handle);
  const served = serveStdio({ input, output, registry, loginSessionId: id, clock: systemClock });
  const send = (message: object): void => void input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const clientInfo = { name: "stdio", version: "0" };
  send({ id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo } });
  await eventually("initialized", () => written.includes('"id":1'));
  send({ method: "notifications/initialized" });
  const tools = ["whoami", "session_status", "list_notes", "mirror_ok", "mirror_fail"];
  for (const [index, name] of tools.entries()) send({ id: index + 2, method: "tools/call", params: { name, arguments: {} } });
  await eventually("all calls are answered", () => tools.every((_, index) => written.includes(`"id":${index + 2}`)));
  return async () => {
    input.end();
    await served;
    return written;
  };
}

async function callEverything(world: World, user: User): Promise<void> {
  for (const kind of httpTransports) {
    const client = await world.connect(kind, user);
    await client.client.listTools();
    for (const name of ["whoami", "session_status", "list_notes", "mirror_ok", "mirror_fail", "mirror_away"]) await client.call(name);
    await client.call("add_note", { text: `over ${kind}` });
    await client.call("delete_note", { id: "unknown" });
    await client.call("slow_report", { seconds: 1 }, { onProgress: () => {} });
    await client.call("slow_report", { seconds: 9999 });
    await client.call("nothing").catch(() => {});
  }
}

async function presentWrongThings(world: World, owner: User, other: User, browser: HttpBrowser): Promise<void> {
  const mcp = (headers: Record<string, string>, method = "POST") =>
    fetch(`${world.url}/mcp`, { method, headers }).then((response) => response.text());
  await mcp({ authorization: `Bearer ${neverIssued.key}` });
  await mcp({ authorization: neverIssued.key });
  await mcp({ authorization: `Bearer ${owner.key}`, "content-type": "application/json" });
  const victim = await world.connect("http", owner);
  const id = String(Reflect.get(Object(victim.client.transport), "sessionId"));
  for (const method of ["GET", "DELETE"])
    await mcp({ authorization: `Bearer ${other.key}`, "mcp-session-id": id, accept: "text/event-stream" }, method);
  await browser.get(`/login/callback?state=${neverIssued.state}&code=${neverIssued.code}`);
  await browser.get("/login?repair=ls_unknown");
  await browser.get("/login?return_to=https://elsewhere.example/");
  await owner.window.signOut(neverIssued.state);
  await browser.request("DELETE", `/api/sessions/${owner.handle}`);
  // A user who says no: the authorization server sends back an error instead of a code.
  await browser.openLoginForm();
  const state = browser.visited.findLast((url) => url.searchParams.has("state"))?.searchParams.get("state");
  await browser.get(`/login/callback?state=${state}&error=access_denied&error_description=no`);
}

async function importLogins(world: World): Promise<void> {
  const send = (body: unknown, bearer = importSecret) =>
    fetch(`${world.url}/api/sessions`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }).then(async (response) => parseFields(await response.text()));
  const [uma, vera] = [await world.authorizationServer.signIn("uma"), await world.authorizationServer.signIn("vera")];
  await send({ id_token: neverIssued.idToken, refresh_token: neverIssued.refreshToken });
  await send({ id_token: uma.idToken, refresh_token: neverIssued.refreshToken });
  await send({ id_token: uma.idToken, refresh_token: vera.refreshToken });
  await send(`{"id_token": "${neverIssued.idToken}"`);
  await send({}, neverIssued.key);
  const body = { id_token: uma.idToken, access_token: uma.accessToken, refresh_token: uma.refreshToken, expires_in: 4 };
  const made = await send(body);
  await send(body);
  const client = await world.connect("sse", { key: mustString(made, "key") });
  await client.notes();
}

async function makeItFail(world: World, user: User): Promise<void> {
  const clients = await Promise.all(httpTransports.map((kind) => world.connect(kind, user)));
  for (const kind of ["503", "down"] as const) {
    world.authorizationServer.setFault({ kind, seconds: 60 });
    const failures = world.audit("refresh_failed").length;
    await eventually(`a refresh fails: ${kind}`, () => world.audit("refresh_failed").length > failures);
    for (const client of clients) await client.call("list_notes");
    await user.window.get("/api/sessions");
    await user.window.browser.get("/login");
    world.authorizationServer.setFault({ kind: "none" });
  }
  const before = world.refreshes(user.name);
  await eventually("it works again", () => world.refreshes(user.name) > before, 20_000);
}

async function endEverything(world: World, carol: User, dave: User, browser: HttpBrowser): Promise<void> {
  const client = await world.connect("http", dave);
  await world.killGrant(dave.handle);
  await eventually("it was found out", async () => (await world.record(dave.handle)).state === "login_required");
  await client.call("list_notes");
  await browser.signIn("dave", `/login?repair=${dave.handle}`);
  await client.mustCall("list_notes");
  const report = client.call("slow_report", { seconds: 60 });
  await eventually("the report runs", () => world.api.stats().runningReports > 0);
  await client.call("sign_out").catch(() => {});
  await report.catch(() => {});
  await client.call("whoami").catch(() => {});
  await carol.window.signOut();
  await carol.window.get("/api/me");
  await eventually("all is revoked", () => ["carol", "dave"].every((name) => world.events(name).some(({ kind }) => kind === "revoked")));
}
