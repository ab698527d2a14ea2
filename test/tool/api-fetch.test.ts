import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import type { ApiSettings } from "../../src/tool/api.ts";
import { type ApiFetch, createApiFetch } from "../../src/tool/api-fetch.ts";
import { canary, FakeCallHost } from "../support/fake-call-host.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type Answer, json, TestApi } from "./test-api.ts";

let host: FakeCallHost;
let clock: ManualClock;
const open: TestApi[] = [];

beforeEach(() => {
  host = new FakeCallHost();
  clock = new ManualClock();
});
afterEach(async () => {
  for (const api of open.splice(0)) await api.close();
});

async function start(answer: Answer): Promise<TestApi> {
  const api = await TestApi.start(answer);
  open.push(api);
  return api;
}

function fetchOf(...apis: readonly { readonly origin: string; readonly path?: string }[]): ApiFetch {
  const settings = apis.map(
    ({ origin, path = "" }, index): ApiSettings => ({
      name: `api${index}`,
      baseUrl: origin + path,
      resource: `urn:api${index}`,
      scopes: ["notes"],
      timeoutSeconds: 30,
    }),
  );
  return createApiFetch(host, settings, { clock, logger: silentLogger });
}

async function failure(work: Promise<unknown>): Promise<LatchkeyError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
  throw new Error("It did not fail.");
}

/** Settles once the API has got its n-th request. */
async function arrived(api: TestApi, count: number): Promise<void> {
  while (api.seen.length < count) await new Promise((resolve) => setImmediate(resolve));
}

describe("context.fetch", () => {
  it("attaches an access token for the API's resource and scopes", async () => {
    const api = await start((_request, response) => json(response, { ok: true }));
    const response = await fetchOf(api)(`${api.origin}/notes`, { headers: { "x-own": "1" } });
    expect(await response.json()).toEqual({ ok: true });
    expect(response.url).toBe(`${api.origin}/notes`);
    expect(api.seen[0]).toMatchObject({ method: "GET", path: "/notes", authorization: `Bearer ${canary}-1` });
    expect(api.seen[0]?.headers["x-own"]).toBe("1");
    expect(host.acquired).toEqual([{ target: { resource: "urn:api0", scopes: ["notes"] }, rejected: undefined }]);
  });

  it("sends nothing to an address that belongs to no configured API, not even for the same origin (B11)", async () => {
    const api = await start((_request, response) => json(response, {}));
    const other = await start((_request, response) => json(response, {}));
    const fetch = fetchOf({ origin: api.origin, path: "/v1" });
    for (const address of [`${other.origin}/v1`, `${api.origin}/v2`, `${api.origin}/v1/..%2fv2`])
      expect((await failure(fetch(address))).code).toBe("forbidden");
    expect([api.seen, other.seen, host.acquired]).toEqual([[], [], []]);
  });

  it.each(["Authorization", "Cookie", "Proxy-Authorization", "Host"])("refuses a header %s of the tool's own", async (name) => {
    const api = await start((_request, response) => json(response, {}));
    const error = await failure(fetchOf(api)(api.origin, { headers: { [name]: "mine-secret" } }));
    expect(error).toMatchObject({ code: "invalid_request", message: expect.stringContaining(name.toLowerCase()) });
    expect(inspect(error, { depth: 10 })).not.toContain("mine-secret");
    expect(api.seen).toEqual([]);
  });

  it("does not repeat the value of a malformed header", async () => {
    const api = await start((_request, response) => json(response, {}));
    const error = await failure(fetchOf(api)(api.origin, { headers: { "x-own": "mine-secret\n" + "x" + "\u0000" } }));
    expect(error.code).toBe("invalid_request");
    expect(inspect(error, { depth: 10 })).not.toContain("mine-secret");
  });

  it("names a request that fetch refuses as the tool's fault", async () => {
    const api = await start((_request, response) => json(response, {}));
    expect((await failure(fetchOf(api)(api.origin, { method: "GET", body: "x" }))).code).toBe("invalid_request");
  });

  it("tells nothing of an access token that no header can carry (B10)", async () => {
    const api = await start((_request, response) => json(response, {}));
    host.onAcquire = () => `${canary}\n`;
    const error = await failure(fetchOf(api)(api.origin));
    expect(error.code).toBe("internal_error");
    expect(inspect(error, { depth: 10 })).not.toContain(canary);
  });

  it("passes on why no access token could be had", async () => {
    const api = await start((_request, response) => json(response, {}));
    host.onAcquire = () => Promise.reject(new LatchkeyError("refresh_timeout", "later", { retryable: true }));
    expect(await failure(fetchOf(api)(api.origin))).toMatchObject({ code: "refresh_timeout", retryable: true });
    expect(api.seen).toEqual([]);
  });
});

describe("context.fetch after a 401", () => {
  const onlySecond: Answer = (request, response) =>
    request.authorization === `Bearer ${canary}-2` ? json(response, { got: request.body }) : json(response, { title: "no" }, 401);

  it.each<[string, () => RequestInit["body"], string]>([
    ["a string", () => "text", "text"],
    ["bytes", () => Buffer.from("bytes"), "bytes"],
    ["a form", () => new URLSearchParams({ a: "1" }), "a=1"],
    ["a blob", () => new Blob(["blob"]), "blob"],
  ])("refreshes and sends %s once more", async (_name, body, got) => {
    const api = await start(onlySecond);
    const response = await fetchOf(api)(api.origin, { method: "POST", body: body() });
    expect(await response.json()).toEqual({ got });
    expect(api.seen.map(({ method, body: sent }) => [method, sent])).toEqual([
      ["POST", got],
      ["POST", got],
    ]);
    expect(host.acquired.map(({ rejected }) => rejected)).toEqual([undefined, `${canary}-1`]);
  });

  it("sends a multipart form once more with all its fields", async () => {
    const api = await start(onlySecond);
    const form = new FormData();
    form.set("note", "milk");
    expect((await fetchOf(api)(api.origin, { method: "POST", body: form })).status).toBe(200);
    for (const { headers, body } of api.seen) {
      const boundary = /boundary=(.+)$/.exec(headers["content-type"] ?? "")?.[1];
      expect(boundary && body.includes(boundary) && body.includes("milk")).toBe(true);
    }
  });

  it("sends it once more and no oftener", async () => {
    const api = await start((_request, response) => json(response, { title: "never" }, 401));
    const response = await fetchOf(api)(api.origin);
    expect([response.status, await response.json()]).toEqual([401, { title: "never" }]);
    expect(api.seen.map(({ authorization }) => authorization)).toEqual([`Bearer ${canary}-1`, `Bearer ${canary}-2`]);
  });

  it("answers the 401 as it is when there is no other access token", async () => {
    const api = await start((_request, response) => json(response, { title: "no" }, 401));
    host.renews = false;
    const response = await fetchOf(api)(api.origin);
    expect([response.status, await response.json()]).toEqual([401, { title: "no" }]);
    expect(api.seen).toHaveLength(1);
  });

  it("does not repeat a streamed body, but reports the access token for the next call", async () => {
    const api = await start(onlySecond);
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("streamed"));
        controller.close();
      },
    });
    const fetch = fetchOf(api);
    expect((await fetch(api.origin, { method: "POST", body: stream })).status).toBe(401);
    expect(api.seen.map(({ body }) => body)).toEqual(["streamed"]);
    expect((await fetch(api.origin)).status).toBe(200);
    expect(api.seen).toHaveLength(2);
  });

  it("throws what the refresh throws, when the login turns out to be over", async () => {
    const api = await start((_request, response) => json(response, {}, 401));
    host.onAcquire = (token, rejected) =>
      rejected === undefined ? token : Promise.reject(new LatchkeyError("login_required", "Sign in again."));
    expect((await failure(fetchOf(api)(api.origin))).code).toBe("login_required");
  });

  it("answers each of 20 calls in flight with the new access token when the old one dies at a refresh (F44)", async () => {
    const held: (() => void)[] = [];
    let valid = `Bearer ${canary}-1`;
    const api = await start(async (request, response, number) => {
      if (number <= 20) await new Promise<void>((resolve) => held.push(resolve));
      if (request.authorization === valid) json(response, { n: request.path });
      else json(response, {}, 401);
    });
    const fetch = fetchOf(api);
    const calls = Array.from({ length: 20 }, (_, n) => fetch(`${api.origin}/${n}`));
    await arrived(api, 20);
    host.refresh();
    valid = `Bearer ${host.currentToken}`;
    for (const release of held) release();
    const answers = await Promise.all(calls.map(async (call) => (await call).json()));
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => ({ n: `/${n}` })));
    // Nobody reported the new one as rejected: the 20 are answered by one refresh.
    expect(host.currentToken).toBe(`${canary}-2`);
    expect(api.seen).toHaveLength(40);
  });
});

describe("context.fetch and redirects", () => {
  it("keeps the access token within the API (B11)", async () => {
    const api = await start((request, response) => {
      if (request.path === "/v1/old") response.writeHead(302, { location: "new?x=1" }).end();
      else json(response, { path: request.path });
    });
    const response = await fetchOf({ origin: api.origin, path: "/v1" })(`${api.origin}/v1/old`);
    expect(await response.json()).toEqual({ path: "/v1/new?x=1" });
    expect([response.redirected, response.url]).toEqual([true, `${api.origin}/v1/new?x=1`]);
    expect(api.seen.map(({ authorization }) => authorization)).toEqual([`Bearer ${canary}-1`, `Bearer ${canary}-1`]);
  });

  it("goes to another origin without the access token and without headers that may be secret (B11)", async () => {
    const elsewhere = await start((_request, response) => json(response, { from: "elsewhere" }));
    const api = await start((_request, response) => void response.writeHead(302, { location: `${elsewhere.origin}/file` }).end());
    const response = await fetchOf(api)(api.origin, { headers: { "x-api-key": "k", accept: "application/json" } });
    expect(await response.json()).toEqual({ from: "elsewhere" });
    expect(elsewhere.seen[0]?.authorization).toBeUndefined();
    expect(elsewhere.seen[0]?.headers["x-api-key"]).toBeUndefined();
    expect(elsewhere.seen[0]?.headers.accept).toBe("application/json");
    expect(JSON.stringify(elsewhere.seen)).not.toContain(canary);
  });

  it("attaches no access token outside the API's base path, for another API, or on the way back (B11)", async () => {
    const other = await start((_request, response) => void response.writeHead(302, { location: `${api.origin}/v1/back` }).end());
    const api = await start((request, response) => {
      if (request.path === "/v1/out") response.writeHead(302, { location: "/v2" }).end();
      else if (request.path === "/v1/hidden") response.writeHead(302, { location: "/v1/..%2fv2" }).end();
      else if (request.path === "/v1/other") response.writeHead(302, { location: other.origin }).end();
      else json(response, {});
    });
    const fetch = fetchOf({ origin: api.origin, path: "/v1" }, { origin: other.origin });
    await fetch(`${api.origin}/v1/out`);
    await fetch(`${api.origin}/v1/hidden`);
    await fetch(`${api.origin}/v1/other`);
    expect(api.seen.map(({ path, authorization }) => [path, authorization !== undefined])).toEqual([
      ["/v1/out", true],
      ["/v2", false],
      ["/v1/hidden", true],
      ["/v1/..%2fv2", false],
      ["/v1/other", true],
      ["/v1/back", false],
    ]);
    expect(other.seen[0]?.authorization).toBeUndefined();
  });

  it("does not refresh for the 401 of somebody else", async () => {
    const elsewhere = await start((_request, response) => json(response, {}, 401));
    const api = await start((_request, response) => void response.writeHead(302, { location: elsewhere.origin }).end());
    expect((await fetchOf(api)(api.origin)).status).toBe(401);
    expect(host.acquired).toHaveLength(1);
  });

  it.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "PUT", "GET", ""],
    [302, "PUT", "PUT", "body"],
    [307, "POST", "POST", "body"],
    [308, "DELETE", "DELETE", "body"],
  ])("after a %i a %s is followed as the Fetch standard says", async (status, method, next, body) => {
    const api = await start((request, response) => {
      if (request.path === "/old") response.writeHead(status, { location: "/new" }).end();
      else json(response, {});
    });
    await fetchOf(api)(`${api.origin}/old`, { method, body: "body", headers: { "content-type": "text/x" } });
    expect(api.seen[1]).toMatchObject({ method: next, body });
    expect(api.seen[1]?.headers["content-type"]).toBe(next === "GET" ? undefined : "text/x");
  });

  it("follows five redirects and not six", async () => {
    const api = await start((request, response) => {
      const left = Number(request.path.slice(1));
      if (left > 0) response.writeHead(302, { location: `/${left - 1}` }).end();
      else json(response, {});
    });
    expect((await fetchOf(api)(`${api.origin}/5`)).status).toBe(200);
    expect(await failure(fetchOf(api)(`${api.origin}/6`))).toMatchObject({ code: "upstream_failed", retryable: false });
  });

  it.each(["ftp://x.example/", "http://user:pw@127.0.0.1/", "http://"])("refuses a redirect to %s", async (location) => {
    const api = await start((_request, response) => void response.writeHead(302, { location }).end());
    expect((await failure(fetchOf(api)(api.origin))).code).toBe("upstream_failed");
  });

  it("leaves a redirect to the tool that asks for it, and fails it for one that forbids it", async () => {
    const api = await start((_request, response) => void response.writeHead(302, { location: "/x" }).end());
    const manual = await fetchOf(api)(api.origin, { redirect: "manual" });
    expect([manual.status, manual.headers.get("location")]).toEqual([302, "/x"]);
    expect((await failure(fetchOf(api)(api.origin, { redirect: "error" }))).code).toBe("upstream_failed");
    expect(api.seen).toHaveLength(2);
  });

  it("repeats the request that got the 401, where the redirect led", async () => {
    const api = await start((request, response) => {
      if (request.path === "/old") response.writeHead(307, { location: "/new" }).end();
      else json(response, {}, request.authorization === `Bearer ${canary}-2` ? 200 : 401);
    });
    expect((await fetchOf(api)(`${api.origin}/old`, { method: "POST", body: "b" })).status).toBe(200);
    expect(api.seen.map(({ path, body }) => path + body)).toEqual(["/oldb", "/newb", "/newb"]);
  });
});

describe("context.fetch that is stopped", () => {
  it("fails with the reason of the login session's end, waiting for the answer", async () => {
    const api = await start(() => {});
    const call = failure(fetchOf(api)(api.origin));
    await arrived(api, 1);
    const reason = new LatchkeyError("login_ended", "Signed out.");
    host.abort(reason);
    expect(await call).toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it("fails with the same reason while the body comes", async () => {
    const api = await start((_request, response) => void response.writeHead(200).write("half"));
    const response = await fetchOf(api)(api.origin);
    const reason = new LatchkeyError("login_required", "Sign in again.");
    const text = failure(response.text());
    host.abort(reason);
    expect(await text).toBe(reason);
  });

  it("does not wait for an access token after the end", async () => {
    const api = await start((_request, response) => json(response, {}));
    host.onAcquire = () => new Promise(() => {});
    const call = failure(fetchOf(api)(api.origin));
    host.abort(new LatchkeyError("login_ended", "Signed out."));
    expect((await call).code).toBe("login_ended");
  });

  it("is cancelled by the client, and by the tool's own signal", async () => {
    const api = await start(() => {});
    const own = new AbortController();
    const first = failure(fetchOf(api)(api.origin, { signal: own.signal }));
    await arrived(api, 1);
    own.abort();
    expect((await first).code).toBe("cancelled");
    const second = failure(fetchOf(api)(api.origin));
    await arrived(api, 2);
    host.abort();
    expect((await second).code).toBe("cancelled");
  });

  it("sends nothing when it is stopped before it begins", async () => {
    const api = await start((_request, response) => json(response, {}));
    host.abort(new LatchkeyError("login_ended", "Signed out."));
    expect((await failure(fetchOf(api)(api.origin))).code).toBe("login_ended");
    expect(api.seen).toEqual([]);
  });

  it("gives up on an API that is silent for its time limit", async () => {
    const api = await start(() => {});
    const call = failure(fetchOf(api)(api.origin, { method: "POST", body: "x" }));
    await arrived(api, 1);
    await clock.advance(29_999);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(await call).toMatchObject({ code: "upstream_failed", retryable: true, message: expect.stringContaining("silent for 30 s") });
    expect((await call).message).toContain("not known whether the request took effect");
  });

  it("lets a body take longer than the time limit as long as it moves, and no silence longer than that", async () => {
    let more: ((text: string) => void) | undefined;
    const api = await start((_request, response) => {
      more = (text) => response.write(text);
      response.writeHead(200).write("0");
    });
    const response = await fetchOf(api)(api.origin);
    const reader = response.body?.getReader();
    const read = async (): Promise<string> => Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(await read()).toBe("0");
    for (const part of ["1", "2", "3"]) {
      const next = read();
      await clock.advance(20_000);
      more?.(part);
      expect(await next).toBe(part);
    }
    const silent = failure(read());
    await clock.advance(30_000);
    expect((await silent).code).toBe("upstream_failed");
  });

  it("holds no time against the API while the authorization server is asked", async () => {
    const api = await start((_request, response) => json(response, {}));
    host.onAcquire = async (token) => {
      await clock.advance(60_000);
      return token;
    };
    expect((await fetchOf(api)(api.origin)).status).toBe(200);
  });

  it("names the API, and nothing from inside, when it cannot be reached or breaks off", async () => {
    const gone = await start(() => {});
    const address = gone.origin;
    await gone.close();
    const refused = await failure(fetchOf({ origin: address })(address));
    expect(refused).toMatchObject({ code: "upstream_failed", retryable: true, details: { api: "api0" } });
    expect(refused.message).toContain('"api0"');
    expect(refused.message).not.toContain("127.0.0.1");
    const breaking = await start((_request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("half");
      setImmediate(() => response.destroy());
    });
    const response = await fetchOf(breaking)(breaking.origin);
    expect(await failure(response.text())).toMatchObject({ code: "upstream_failed", retryable: true });
  });
});

describe("context.fetch keeps the access token to itself (B10, B11)", () => {
  it("takes it out of an answer that echoes it, in body and headers", async () => {
    const api = await start((request, response) => {
      const echo = JSON.stringify({ youSent: request.authorization });
      response.writeHead(200, { "x-echo": request.authorization ?? "" }).write(echo.slice(0, 30));
      setImmediate(() => response.end(echo.slice(30)));
    });
    const response = await fetchOf(api)(api.origin);
    expect(inspect([...response.headers])).not.toContain(canary);
    expect(await response.json()).toEqual({ youSent: "Bearer [access token]" });
  });

  it("has it in no error of any kind", async () => {
    const api = await start((request, response) => {
      if (request.path === "/redirect") response.writeHead(302, { location: "ftp://x" }).end();
      else if (request.path === "/destroy") response.destroy();
      else if (request.path === "/silent") void clock.advance(30_000);
      else host.abort();
    });
    for (const path of ["/redirect", "/destroy", "/silent", "/abort"]) {
      const error = await failure(fetchOf(api)(api.origin + path));
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(canary);
    }
  });
});
