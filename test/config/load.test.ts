import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfigFile } from "../../src/config/load.ts";
import { load, mustLoad, problemsOf, sound, withServer } from "./loading.ts";

const secret = "canary-4711-this-must-never-be-shown";
const sealing = { keys: [{ id: "a", key: "a secret of 32 characters or more" }] };

test("one authorization server and an API are six lines, as the README shows", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const shown = /```json\n(\{[^`]*"authorizationServers"[^`]*)```/.exec(readme)?.[1] ?? "";
  expect(shown.trim().split("\n")).toHaveLength(6);
  const config = mustLoad(shown, { env: { CLIENT_SECRET: secret } });
  expect(Object.keys(config.authorizationServers)).toEqual(["main"]);
  expect(Object.keys(config.apis)).toHaveLength(1);
});

test("fills in every default", () => {
  const config = mustLoad(sound({ apis: { notes: { baseUrl: "https://notes.example.com" } } }));
  expect(config.server).toMatchObject({ host: "127.0.0.1", port: 8420, corsOrigins: [] });
  expect(config.authorizationServers["main"]).toMatchObject({
    scopes: ["openid", "profile", "email", "offline_access"],
    clockToleranceSeconds: 60,
    rotation: "auto",
    lostReply: "present",
    sharedGrant: "wait",
    introspection: "auto",
  });
  expect(config.session).toEqual({ idleLimitSeconds: 1_209_600, tombstoneSeconds: 86_400 });
  expect(config.limits).toMatchObject({ bodyBytes: 4_194_304, keysPerLogin: 20 });
  expect(config.apis["notes"]).toEqual({ baseUrl: "https://notes.example.com", scopes: [], timeoutSeconds: 30 });
  expect(config.store).toEqual({ type: "sqlite", file: "/nowhere/data/latchkey.db" });
  expect(config.sealing).toEqual({ keys: [] });
});

describe("each mistake is named with its path, its value and the way out", () => {
  const table: readonly (readonly [config: unknown, ...problems: string[]])[] = [
    [
      {},
      'authorizationServers is missing. The authorization servers that users sign in at, by a name of your choice: {"main": {"issuer": "…", "clientId": "…"}}.',
    ],
    [{ authorizationServers: {} }, 'authorizationServers must have at least one entry: "main": { "issuer": "…", "clientId": "…" }'],
    [[], "the configuration must be an object, not a list"],
    [
      { authorizationServers: { main: { client_id: "latchkey" } } },
      'authorizationServers.main.issuer is missing. The issuer identifier, exactly as the authorization server writes it, such as "https://login.example.com".',
      "authorizationServers.main.clientId is missing. The client id that Latchkey has at the authorization server.",
      'authorizationServers.main.client_id is no known setting. Did you mean "clientId"?',
    ],
    [
      withServer({ issuer: "http://login.example.com" }),
      'authorizationServers.main.issuer must begin with https: (http is allowed on loopback only, since secrets travel on it), not "http://login.example.com"',
    ],
    [
      withServer({ issuer: "https://admin:hunter2@login.example.com" }),
      'authorizationServers.main.issuer must not carry a user name or a password, not "https://…@login.example.com"',
    ],
    [withServer({ rotation: "allways" }), 'authorizationServers.main.rotation must be one of "auto", "always", "never", not "allways"'],
    [
      withServer({ scopes: ["openid email"] }),
      'authorizationServers.main.scopes[0] must be one scope, without spaces and quotes (RFC 6749, section 3.3), not "openid email"',
    ],
    [
      withServer({ scopes: ["email"] }),
      'authorizationServers.main.scopes (email) must have "openid": without it there is no ID token, and nobody knows who signed in',
    ],
    [
      withServer({ clientAuthentication: "client_secret_post" }),
      'authorizationServers.main.clientAuthentication is "client_secret_post", but authorizationServers.main.clientSecret is missing: set it',
    ],
    [
      withServer({ clientAuthentication: "none", clientSecret: secret }),
      'authorizationServers.main.clientAuthentication is "none", but authorizationServers.main.clientSecret is set: remove one of them',
    ],
    [
      { authorizationServers: { "my server": { issuer: "https://login.example.com", clientId: "latchkey" } } },
      'authorizationServers."my server" is no proper name: use 1 to 64 letters, digits, "_" and "-", beginning with a letter or a digit',
    ],
    [sound({ server: { port: 65_536 } }), "server.port must be at most 65535, not 65536"],
    [sound({ server: { port: "8420" } }), 'server.port must be a number, not "8420"'],
    [
      sound({ server: { host: "0.0.0.0" } }),
      'server.host ("0.0.0.0") is reachable from outside, so server.publicUrl must be set: the https origin that users and clients use',
    ],
    [
      sound({ server: { publicUrl: "http://latchkey.example.com" } }),
      'server.publicUrl must begin with https: (http is allowed on loopback only, since secrets travel on it), not "http://latchkey.example.com"',
    ],
    [
      sound({ server: { publicUrl: "https://example.com/latchkey" } }),
      'server.publicUrl must have no path: write "https://example.com", not "https://example.com/latchkey"',
    ],
    [
      sound({
        server: { trustedProxies: ["10.0.0.0/33", "nginx", "fd00::/129", "10.0.0.0/8/8", "0.0.0.0/0", "10.0.0.0/"], replica: "Replica_1" },
      }),
      'server.replica must be 1 to 32 small letters, digits and "-", not "Replica_1"',
      'server.trustedProxies[0] must be an IP address or a range such as "10.0.0.0/8", not "10.0.0.0/33"',
      'server.trustedProxies[1] must be an IP address or a range such as "10.0.0.0/8", not "nginx"',
      'server.trustedProxies[2] must be an IP address or a range such as "10.0.0.0/8", not "fd00::/129"',
      'server.trustedProxies[3] must be an IP address or a range such as "10.0.0.0/8", not "10.0.0.0/8/8"',
      'server.trustedProxies[4] must be fewer addresses: anybody could claim any address, not "0.0.0.0/0"',
      'server.trustedProxies[5] must be an IP address or a range such as "10.0.0.0/8", not "10.0.0.0/"',
    ],
    [sound({ policy: {} }), "policy is not available in this version: remove it"],
    [
      sound({ server: { corsOrigins: ["https://app.example.com/"] } }),
      'server.corsOrigins[0] must be an origin such as "https://app.example.com", without a path and without a slash at its end, not "https://app.example.com/"',
    ],
    [
      sound({ server: { tls: { certificateFile: "cert.pem", keyFile: "key.pem" } } }),
      "server.tls.certificateFile needs the file /nowhere/cert.pem, which does not exist: create it, or correct the path",
      "server.tls.keyFile needs the file /nowhere/key.pem, which does not exist: create it, or correct the path",
    ],
    [sound({ store: { type: "disk" } }), 'store.type must be one of "memory", "sqlite", "postgres", "redis", not "disk"'],
    [
      sound({ store: { type: "redis" } }),
      'store.url is missing: store.type "redis" needs the address of the server',
      'sealing.keys is missing: store.type "redis" needs a key that all replicas share, such as [{"id": "2026-11", "key": "${LATCHKEY_SEALING_KEY}"}]; make one with "openssl rand -base64 32"',
    ],
    [
      sound({
        store: { type: "postgres", url: `redis://u:${secret}@host/0`, file: "x.db", keyPrefix: "k", journalDirectory: "r" },
        sealing,
      }),
      'store.file ("x.db") is for store.type "sqlite", but store.type is "postgres": remove one',
      'store.keyPrefix ("k") is for store.type "redis", but store.type is "postgres": remove one',
      'store.url begins with "redis://", but store.type "postgres" needs "postgres://" or "postgresql://"',
    ],
    [
      sound({ store: { type: "redis", url: secret, schema: "latchkey", journalDirectory: "r" }, sealing }),
      'store.schema ("latchkey") is for store.type "postgres", but store.type is "redis": remove one',
      'store.url is no address: write "redis://user:password@host/…"',
    ],
    [
      sound({ store: { url: `redis://u:${secret}@host/0` } }),
      'store.url is for store.type "postgres" and "redis", but store.type is "sqlite": remove one',
    ],
    [
      sound({ store: { type: "postgres", url: "postgres://host/db", schema: "Latch-key", maxConnections: 0 }, sealing }),
      'store.schema must be 1 to 63 small letters, digits and "_", beginning with a letter or "_", not "Latch-key"',
      "store.maxConnections must be at least 1, not 0",
    ],
    [
      sound({ store: { type: "memory", file: "latchkey.db" } }),
      'store.file ("latchkey.db") is for store.type "sqlite", but store.type is "memory": remove one',
    ],
    [
      sound({
        sealing: {
          keys: [
            { id: "a", key: "short" },
            { id: "a b", key: "a secret of 32 characters or more" },
          ],
        },
      }),
      'sealing.keys[0].key must have at least 32 characters: make one with "openssl rand -base64 32"',
      'sealing.keys[1].id must be a name of 1 to 64 letters, digits, "_" and "-", beginning with a letter or a digit, not "a b"',
    ],
    [
      sound({
        sealing: {
          keys: [
            { id: "a", key: "a secret of 32 characters or more" },
            { id: "a", key: "another secret of 32 characters or more" },
          ],
        },
      }),
      'sealing.keys[1].id ("a"): two keys have this name: rename the newer one',
    ],
    [
      sound({ everything: {} }),
      "everything is no known setting. Known here: server, authorizationServers, apis, tools, refresh, heartbeat, session, store, sealing, import, limits, log.",
    ],
    [sound({ heartbeats: {} }), 'heartbeats is no known setting. Did you mean "heartbeat"?'],
    [
      sound({ limits: { bodyBytes: 1.5, maxConnections: 0 } }),
      "limits.bodyBytes must be a whole number, not 1.5",
      "limits.maxConnections must be at least 1, not 0",
    ],
    [sound({ import: { secret: "short" } }), 'import.secret must have at least 32 characters: make one with "openssl rand -base64 32"'],
    [
      sound({ apis: { notes: { baseUrl: "notes.example.com" } } }),
      'apis.notes.baseUrl must be an absolute address such as "https://login.example.com", not "notes.example.com"',
    ],
    [
      sound({ apis: { notes: { baseUrl: "https://notes.example.com", authorizationServer: "mian" } } }),
      'apis.notes.authorizationServer ("mian") is no authorization server. Did you mean "main"?',
    ],
    [
      {
        authorizationServers: {
          one: { issuer: "https://one.example.com", clientId: "c" },
          two: { issuer: "https://two.example.com", clientId: "c" },
        },
        apis: { notes: { baseUrl: "https://notes.example.com" } },
      },
      "apis.notes.authorizationServer is missing: with several authorization servers (one, two), say whose access tokens it takes",
    ],
    [
      sound({ tools: [{ name: "add", description: "Adds.", api: "notes", path: "/" }] }),
      'tools.add.api ("notes") is no API. There are: none.',
    ],
    [
      sound({
        apis: { notes: { baseUrl: "https://notes.example.com" } },
        tools: [
          { name: "whoami", description: "Who.", api: "notes", path: "/me" },
          { name: "add", description: "Adds.", api: "notes", path: "/" },
          { name: "add", description: "Adds.", api: "notes", path: "/", method: "post" },
        ],
      }),
      'tools.add.method must be one of "GET", "POST", "PUT", "PATCH", "DELETE", not "post"',
      "tools.whoami: every server has a tool of this name already: choose another one",
      "tools.add: two tools have this name: rename one",
    ],
    [
      sound({ tools: [{ name: "no name", description: "", api: "notes", path: "/" }] }),
      'tools[0].name must be 1 to 128 letters, digits, "_", "-" and ".", not "no name"',
      "tools[0].description must not be empty",
    ],
    [sound({ session: { idleLimitSeconds: "14 days" } }), 'session.idleLimitSeconds must be a number, not "14 days"'],
    [sound({ log: { level: true } }), 'log.level must be one of "debug", "info", "warn", "error", not true'],
  ];
  test.each(table)("%j", (config, ...problems) => {
    expect(problemsOf(config)).toEqual(problems);
  });
});

test("mistakes of every kind are reported in one go, those over several fields included", () => {
  const problems = problemsOf({
    authorizationServers: { main: { clientSecret: { file: "missing" }, refreshTokenLifetimeSeconds: 30 } },
    server: { host: "${HOST}" },
    refresh: { timeoutSeconds: 20 },
    tools: [{ name: "add", api: "notes", path: "/" }],
    unknown: 1,
  });
  expect(problems).toEqual([
    "authorizationServers.main.clientSecret needs the file /nowhere/missing, which does not exist: create it, or correct the path",
    "server.host needs the environment variable HOST, which is not set: set it before the start",
    expect.stringContaining("authorizationServers.main.issuer is missing"),
    expect.stringContaining("authorizationServers.main.clientId is missing"),
    expect.stringContaining("tools.add.description is missing"),
    expect.stringContaining("unknown is no known setting"),
    "refresh after 15 s plus refresh.timeoutSeconds (20) must come before authorizationServers.main.refreshTokenLifetimeSeconds (30): set refresh.timeoutSeconds to less than 14.75",
    'tools.add.api ("notes") is no API. There are: none.',
  ]);
});

test("a rule that was handed in sees the sound parts and is reported with the others", () => {
  const check = (config: { readonly tools: readonly { readonly name: string }[] }): readonly string[] =>
    config.tools.map((tool) => `seen ${tool.name}`);
  const tools = [
    { name: "good", description: "Good.", api: "notes", path: "/" },
    { name: "bad", description: "Bad.", api: "notes", path: "/", metod: "GET" },
  ];
  const problems = problemsOf(sound({ apis: { notes: { baseUrl: "https://notes.example.com" } }, tools }), { check });
  expect(problems).toEqual(['tools.bad.metod is no known setting. Did you mean "method"?', "seen good", "seen bad"]);
});

describe("secrets", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "latchkey-config-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("come from the environment, or from a file beside the configuration without its last line end", () => {
    writeFileSync(join(directory, "client-secret"), `${secret}\n`);
    const config = mustLoad(withServer({ clientSecret: { file: "client-secret" } }, { import: { secret: "${IMPORT}-${IMPORT}" } }), {
      directory,
      env: { IMPORT: "0123456789abcdef0123" },
    });
    expect(config.authorizationServers["main"]?.clientSecret).toBe(secret);
    expect(config.import?.secret).toBe("0123456789abcdef0123-0123456789abcdef0123");
  });

  test("a missing variable, a missing file, an empty file and a folder are named", () => {
    writeFileSync(join(directory, "empty"), "\n");
    const problem = (clientSecret: unknown): readonly string[] => problemsOf(withServer({ clientSecret }), { directory });
    expect(problem("${CLIENT_SECRET}")).toEqual([
      "authorizationServers.main.clientSecret needs the environment variable CLIENT_SECRET, which is not set: set it before the start",
    ]);
    expect(problem({ file: "absent" })[0]).toMatch(/needs the file .*absent, which does not exist/);
    expect(problem({ file: "empty" })[0]).toMatch(/needs the file .*empty, which is empty/);
    expect(problem({ file: "." })[0]).toMatch(/which is a folder/);
  });

  test.each([
    [withServer({ clientSecret: [secret] })],
    [withServer({ clientSecret: { fil: secret } })],
    [withServer({ clientSecret: { file: "x", value: secret } })],
    [withServer({ clientsecret: secret })],
    [sound({ import: secret })],
    [sound({ import: [secret] })],
    [sound({ import: { secret: secret.slice(0, 20) } })],
    [sound({ authorizationServers: secret })],
    [sound({ server: { publicUrl: `https://user:${secret}@example.com` } })],
    [sound({ log: { level: "${CANARY}" } })],
    [sound({ server: { port: "${CANARY}" } })],
    [withServer({ issuer: "${CANARY}" })],
    [withServer({ scopes: ["${CANARY}"] })],
    [sound({ server: { host: "${CANARY}" } })],
    [sound({ apis: { notes: { baseUrl: "https://notes.example.com", authorizationServer: "${CANARY}" } } })],
    [sound({ tools: [{ name: "add", description: "Adds.", api: "x${CANARY}", path: "/${CANARY}" }] })],
    [`{ "import": { "secret": "${secret}" } "x" }`],
    [`{ "import": { "secret": "${secret} } }`],
    [`{ "import": { "secret": ${secret} } }`],
  ])("are in no problem (B10): %#", (config) => {
    const problems = problemsOf(config, { env: { CANARY: secret } });
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join("\n")).not.toContain(secret.slice(0, 12));
  });
});

describe("the environment", () => {
  test("fills texts, and numbers and booleans where one is wanted", () => {
    const tools = [{ name: "add", description: "Adds.", api: "notes", path: "/", progress: "${PROGRESS}" }];
    const config = mustLoad(
      sound({ server: { port: "${PORT}", host: "${HOST}" }, apis: { notes: { baseUrl: "https://${DOMAIN}/v1" } }, tools }),
      {
        env: { PORT: "9000", HOST: "::1", DOMAIN: "notes.example.com", PROGRESS: "true" },
      },
    );
    expect(config.server).toMatchObject({ port: 9000, host: "::1" });
    expect(config.apis["notes"]?.baseUrl).toBe("https://notes.example.com/v1");
    expect(config.tools[0]?.progress).toBe(true);
  });

  test("a value out of it is shown as what was written", () => {
    expect(problemsOf(sound({ server: { port: "${PORT}" } }), { env: { PORT: "none" } })).toEqual([
      'server.port must be a number, not "${PORT}"',
    ]);
  });

  test("two dollars stand for one, and a dollar with a brace and no name is refused", () => {
    const tools = [{ name: "add", description: "Costs $${PRICE}.", api: "notes", path: "/" }];
    const apis = { notes: { baseUrl: "https://notes.example.com" } };
    expect(mustLoad(sound({ apis, tools })).tools[0]?.description).toBe("Costs ${PRICE}.");
    expect(problemsOf(withServer({ clientId: "${PRICE" }))).toEqual([
      'authorizationServers.main.clientId has a "${" that is not followed by a name and "}": write ${NAME}, or $${ for the two characters themselves',
    ]);
  });
});

describe("the file", () => {
  test("that is not there is a problem like any other", () => {
    expect(loadConfigFile("/nowhere/latchkey.config.json", { env: {} })).toEqual({
      ok: false,
      problems: ["The configuration needs the file /nowhere/latchkey.config.json, which does not exist: create it, or correct the path."],
    });
  });

  test("is named in each problem, and its folder is where relative paths begin", () => {
    const directory = mkdtempSync(join(tmpdir(), "latchkey-config-"));
    try {
      const file = join(directory, "latchkey.config.json");
      writeFileSync(join(directory, "secret"), secret);
      writeFileSync(file, JSON.stringify(withServer({ clientSecret: { file: "secret" } })));
      expect(loadConfigFile(file, { env: {}, dataDirectory: directory })).toMatchObject({ ok: true });
      writeFileSync(file, "{");
      expect(loadConfigFile(file, { env: {} })).toEqual({
        ok: false,
        problems: [`${file}: line 1, column 2: the file ends here, but a key in double quotes ("…") must follow`],
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

test("host and port of the command line win, and are checked like the file's", () => {
  const config = mustLoad(sound({ server: { port: 1 } }), { server: { port: 2, host: undefined } });
  expect(config.server).toMatchObject({ port: 2, host: "127.0.0.1" });
  expect(problemsOf(sound(), { server: { host: "::" } })).toEqual([
    'server.host ("::") is reachable from outside, so server.publicUrl must be set: the https origin that users and clients use',
  ]);
});

test("a public origin is kept without the slash at its end", () => {
  expect(mustLoad(sound({ server: { publicUrl: "https://latchkey.example.com/" } })).server.publicUrl).toBe("https://latchkey.example.com");
});

test.each(["http://127.0.0.1:8421", "http://localhost:8421", "http://[::1]:8421", "http://as.localhost"])(
  "an issuer on loopback may do without https: %s",
  (issuer) => {
    expect(load(withServer({ issuer })).ok).toBe(true);
  },
);

test("takes addresses and ranges of proxies, of both families, and a replica's name from the environment", () => {
  const server = { trustedProxies: ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1"], replica: "${NAME}" };
  expect(mustLoad(sound({ server }), { env: { NAME: "latchkey-2" } }).server).toMatchObject({ ...server, replica: "latchkey-2" });
  expect(mustLoad(sound()).server).toMatchObject({ trustedProxies: [] });
});
