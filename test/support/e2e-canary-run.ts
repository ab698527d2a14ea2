import { createServer } from "node:http";
import { configSchema } from "../../src/config/schema.ts";
import { Canaries, type Sink } from "./e2e-canaries.ts";
import { importSecret, playDay, presented } from "./e2e-canary-day.ts";
import type { HttpBrowser } from "./e2e-http-browser.ts";
import { RecordingProxy } from "./e2e-recording-proxy.ts";
import { type AtEnd, World } from "./e2e-world.ts";

/** Everything that was written down, shown or sent, from the first login to the last. */
export interface Run {
  readonly canaries: Canaries;
  readonly sinks: readonly Sink[];
  readonly world: World;
  /** What each proxy saw: clients and Latchkey, Latchkey and the authorization server, Latchkey and the API. */
  readonly front: RecordingProxy;
  readonly api: RecordingProxy;
}

/** Plays a day behind recording proxies, and gathers all secrets that came up and all places where one might show. */
export async function runEverything(atEnd: AtEnd): Promise<Run> {
  const [front, back, api] = [await RecordingProxy.start(), await RecordingProxy.start(), await RecordingProxy.start()];
  const mirror = await startMirror(atEnd);
  const world = await World.start(atEnd, {
    accessTokenSeconds: 4,
    configure: (config) => {
      const [server] = Object.values(config.authorizationServers);
      const paths = { token: "/token", revocation: "/token/revocation", introspection: "/token/introspection", jwks: "/jwks" };
      const endpoints = Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, `${back.url}${path}`]));
      const reflecting = ["ok", "fail", "away"].map((path) => ({
        name: `mirror_${path}`,
        description: path,
        api: "mirror",
        path: `/${path}`,
      }));
      return configSchema.parse({
        ...config,
        server: { port: 0, publicUrl: front.url },
        authorizationServers: { demo: { ...server, endpoints } },
        apis: { notes: { baseUrl: api.url }, mirror: { baseUrl: mirror.url } },
        tools: [...config.tools, ...reflecting],
        import: { secret: importSecret },
      });
    },
  });
  for (const proxy of [front, back, api]) atEnd(() => proxy.close());
  front.passTo(world.listenUrl);
  back.passTo(world.authorizationServer.issuer, { asTarget: true });
  api.passTo(world.api.url);

  const browsers = [world.browser(), world.browser()] as const;
  const stdio = await playDay(world, browsers);
  return {
    canaries: collect(world, browsers, { front, back }),
    sinks: sinksOf(world, { front, back, api }, mirror, stdio),
    world,
    front,
    api,
  };
}

/** An API of nobody's making: it says what it was sent, in answers and errors, and sends callers elsewhere. */
async function startMirror(atEnd: AtEnd): Promise<{ readonly url: string; readonly elsewhere: () => string }> {
  const arrived: string[] = [];
  const elsewhere = createServer((request, response) => {
    arrived.push(`${request.url}\n${request.rawHeaders.join("\n")}`);
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  const mirror = createServer((request, response) => {
    if (request.url === "/away") return response.writeHead(302, { location: `${addressOf(elsewhere)}/taken` }).end();
    const status = request.url === "/fail" ? 500 : 200;
    return response
      .writeHead(status, { "content-type": "application/json", "x-seen": request.headers.authorization ?? "" })
      .end(JSON.stringify({ title: request.headers.authorization, detail: `You sent ${request.headers.authorization}.` }));
  });
  for (const server of [elsewhere, mirror]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    atEnd(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  }
  return { url: addressOf(mirror), elsewhere: () => arrived.join("\n") };
}

function addressOf(server: ReturnType<typeof createServer>): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

/** Each kind of secret is read where it is first seen: in what the authorization server sends and gets, and at the browser. */
function collect(
  world: World,
  browsers: readonly HttpBrowser[],
  { front, back }: { readonly front: RecordingProxy; readonly back: RecordingProxy },
): Canaries {
  const canaries = new Canaries();
  for (const kind of ["access_token", "refresh_token", "id_token"] as const)
    canaries.addMatches(kind, back.received, new RegExp(`"${kind}":"([^"]+)"`, "g"));
  canaries.addMatches("code_verifier", back.sent, /code_verifier=([^&\s]+)/g);
  canaries.addMatches("authorization_code", back.sent, /\bcode=([^&\s]+)/g);
  canaries.addMatches("cookie", front.received, /^set-cookie: [^=]+=([\w-]{20,})/gim);
  canaries.addMatches("connection_key", front.received, /"key":"(lk_[^"]+)"/g);
  canaries.addMatches("csrf_token", front.received, /"csrfToken":"([^"]+)"/g);
  for (const browser of browsers) for (const value of browser.cookies()) if (value.length >= 20) canaries.add("cookie", value);
  canaries.add("client_secret", world.authorizationServer.clientSecret);
  canaries.add("import_secret", importSecret);
  for (const value of presented) canaries.add("presented", value);
  return canaries;
}

function sinksOf(
  world: World,
  { front, back, api }: { readonly front: RecordingProxy; readonly back: RecordingProxy; readonly api: RecordingProxy },
  mirror: { readonly elsewhere: () => string },
  stdio: string,
): readonly Sink[] {
  const answers = front.received.join("\n");
  return [
    { name: "the log", text: world.lines.join("") },
    { name: "the audit lines", text: world.lines.filter((line) => line.includes('"audit":true')).join("") },
    // The three things that Latchkey is there to show: a cookie to its browser, a key once, a CSRF token to the page.
    { name: "answers of Latchkey, but for what it sets and shows", text: withoutWhatIsShown(answers) },
    { name: "messages on stdout", text: stdio },
    { name: "addresses that clients asked Latchkey for", text: requestLines(front.sent, /^\/login\/callback\?/) },
    { name: "addresses that Latchkey asked the authorization server for", text: requestLines(back.sent) },
    { name: "addresses that Latchkey asked the API for", text: requestLines(api.sent) },
    {
      name: "requests to the authorization server",
      text: back.sent.join("\n"),
      // A refresh token that was never issued is what an import asks about.
      allowed: ["access_token", "refresh_token", "authorization_code", "code_verifier", "client_secret", "presented"],
    },
    { name: "requests to the API", text: api.sent.join("\n"), allowed: ["access_token"] },
    { name: "requests to where an API redirects to", text: mirror.elsewhere() },
  ];
}

function withoutWhatIsShown(answers: string): string {
  return answers
    .replace(/^set-cookie: [^\r\n]*/gim, "")
    .replace(/"key":"lk_[^"]+"/g, "")
    .replace(/"csrfToken":"[^"]+"/g, "");
}

/** The first lines and the referrers of requests; those to `except`, which holds a code by its nature, without their query. */
function requestLines(sent: readonly string[], except?: RegExp): string {
  const lines = sent.flatMap((text) => text.match(/^(?:[A-Z]+ \/\S* HTTP\/1\.1|referer: .*)$/gim) ?? []);
  return lines.map((line) => (except?.test(line.split(" ")[1] ?? "") ? line.replace(/\?\S*/, "") : line)).join("\n");
}
