import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DemoAuthorizationServer, startDemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { type BrowserStop, ScriptedBrowser } from "../../src/demo/scripted-browser.ts";
import { checkUserName, claimsOf } from "../../src/demo/users.ts";
import { PlainClient, redirectUri } from "./plain-client.ts";

let server: DemoAuthorizationServer;
let client: PlainClient;

beforeAll(async () => {
  server = await startDemoAuthorizationServer({ redirectUris: [redirectUri] });
  client = new PlainClient(server);
});

afterAll(() => server.close());

async function open(parameters: Readonly<Record<string, string>> = {}) {
  const browser = new ScriptedBrowser(server.issuer);
  const form = await browser.get(client.authorization({ parameters }).url);
  const submit = (name: string, password: string): Promise<BrowserStop> => browser.submit(form.url, { name, password });
  return { browser, form, submit };
}

const textOf = (stop: BrowserStop): string => (stop.kind === "page" ? stop.text : "");

describe("the login page", () => {
  test("says who asks and works without script or anything from elsewhere", async () => {
    const { form } = await open();
    const text = textOf(form);
    expect(text).toContain("<strong>Latchkey (demo)</strong> asks you to sign in");
    expect(text).toContain('<form method="post">');
    expect(text).toContain('<label for="name">');
    expect(text).toContain('<label for="password">');
    expect(text).not.toMatch(/<script|https?:\/\/|\son\w+=/);
    expect(text.match(/ autofocus/g)).toHaveLength(1);
  });

  test("comes with a policy against scripts, frames and caches", async () => {
    const start = await fetch(client.authorization().url, { redirect: "manual" });
    const cookie = start.headers.getSetCookie().map((line) => line.split(";")[0]);
    const page = await fetch(new URL(start.headers.get("location") ?? "", server.issuer), { headers: { cookie: cookie.join("; ") } });
    expect(page.status).toBe(200);
    const policy = page.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(page.headers.get("cache-control")).toBe("no-store");
    for (const line of start.headers.getSetCookie()) expect(line).toMatch(/; httponly/i);
  });

  test("keeps the name after a wrong password and lets one try again", async () => {
    const { submit } = await open();
    const wrong = await submit("carol", "guess");
    expect(wrong).toMatchObject({ kind: "page", status: 403 });
    expect(textOf(wrong)).toContain('value="carol"');
    expect(textOf(wrong)).toContain('role="alert">Wrong password.');
    expect(textOf(wrong)).not.toContain("guess");
    expect(await submit("carol", "carol")).toMatchObject({ kind: "left" });
  });

  test.each([
    ["", "Type a name"],
    ["   ", "Type a name"],
    ["a b", "letters, digits"],
    ["<script>", "letters, digits"],
    ["a/../b", "letters, digits"],
    ["x".repeat(65), "too long"],
  ])("refuses the name %j and says why", async (name, why) => {
    const { submit } = await open();
    const refused = await submit(name, name);
    expect(refused).toMatchObject({ kind: "page", status: 400 });
    expect(textOf(refused)).toContain(why);
    expect(textOf(refused)).not.toContain("<script>");
  });

  test.each(["carol", "Zoë", "李雷", "o.b-r_1@corp.test", "__proto__", "x".repeat(64)])("takes the name %s", async (name) => {
    const { submit } = await open();
    const done = await submit(name, name);
    expect(done.url.searchParams.get("code")).toEqual(expect.any(String));
  });

  test("fills in the name that the application hints at, escaped", async () => {
    const { form } = await open({ login_hint: 'dave"><b>' });
    expect(textOf(form)).toContain('value="dave&#34;&#62;&#60;b&#62;"');
  });

  test("is over once it was used, and in another browser", async () => {
    const { browser, form, submit } = await open();
    expect(await new ScriptedBrowser(server.issuer).get(form.url)).toMatchObject({ status: 400 });
    await submit("carol", "carol");
    const again = await browser.get(form.url);
    expect(again).toMatchObject({ kind: "page", status: 400 });
    expect(textOf(again)).toContain("This sign-in is over");
  });

  test("takes no form from another origin's page", async () => {
    const { form } = await open();
    const reply = await fetch(form.url, {
      method: "POST",
      headers: { origin: "http://evil.test" },
      body: new URLSearchParams({ name: "mallory" }),
    });
    expect(reply.status).toBe(403);
  });
});

describe("the server's own address", () => {
  test("says what it is, by its other name as well", async () => {
    expect(await (await fetch(server.issuer)).text()).toContain("Nothing to do here");
    const other = await fetch(`http://localhost:${server.port}/device`, { headers: { accept: "text/html" }, redirect: "manual" }).catch(
      () => undefined,
    );
    // Where localhost is ::1 alone there is no other name.
    if (other !== undefined) expect([other.status, other.headers.get("location")]).toEqual([307, `${server.issuer}/device`]);
  });
});

describe("a demo user", () => {
  test("has claims that follow from the name", () => {
    expect(claimsOf("carol")).toEqual({ sub: "carol", name: "Carol", email: "carol@example.test" });
    expect(claimsOf("dave@corp.test")).toEqual({ sub: "dave@corp.test", name: "Dave@corp.test", email: "dave@corp.test" });
  });

  test("is the same however the name's letters were composed, and with spaces around it", () => {
    expect(checkUserName(" Zoe\u0308 ")).toEqual({ kind: "ok", name: "Zo\u00eb" });
  });
});
