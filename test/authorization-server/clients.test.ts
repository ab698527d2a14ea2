import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { ProviderFetch } from "../../src/authorization-server/metadata-document-fetch.ts";
import type { Fields } from "../support/e2e-json.ts";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";
import { ClientRig } from "./client-rig.ts";

let rig: ClientRig;
let documents: Map<string, () => Response>;
let fetched: string[];

beforeEach(async () => {
  documents = new Map();
  fetched = [];
  const fetch: ProviderFetch = async (url) => {
    fetched.push(String(url));
    return documents.get(String(url))?.() ?? new Response("", { status: 404 });
  };
  rig = await ClientRig.start({ fetch });
});
afterEach(() => rig.stop());

const id = "https://app.example/oauth/client.json";

function document(more: Fields = {}): Fields {
  return { client_id: id, client_name: "App", redirect_uris: ["http://127.0.0.1/callback"], ...more };
}

function serve(value: unknown, init: ResponseInit = {}): void {
  documents.set(id, () => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" }, ...init }));
}

describe("a client with a metadata document", () => {
  test("needs no registration, may use any port on loopback, and gets refresh tokens", async () => {
    serve(document());
    const code = await rig.code(id, "alice");
    const { status, json } = await rig.exchange(id, code);
    expect(status).toBe(200);
    expect(json.refresh_token).toEqual(expect.any(String));
    expect(fetched).toEqual([id]);
  });

  test.each<[string, () => void]>([
    ["is not there", () => {}],
    ["redirects", () => serve("", { status: 302, headers: { location: "https://127.0.0.1/" } })],
    ["names another client", () => serve(document({ client_id: "https://other.example/client.json" }))],
    ["has a secret in it", () => serve(document({ client_secret: "s".repeat(40) }))],
    ["sends answers over plain http", () => serve(document({ redirect_uris: ["http://app.example/callback"] }))],
    ["is no object", () => serve([])],
    ["is larger than 64 KiB", () => serve(document({ filler: "x".repeat(70_000) }))],
  ])("is refused when the document %s", async (_name, prepare) => {
    prepare();
    const { answer } = await rig.authorize(id);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("location")).toBeNull();
    expect(answer.text).toMatch(/^invalid_/);
  });

  test("is told what to do when this server cannot reach its document", async () => {
    const { answer } = await rig.authorize(id);
    expect(answer.text).toContain("could not use the description that the application has at app.example");
  });

  test("cannot have documents fetched without a limit", async () => {
    for (let index = 0; index < 40; index += 1) await rig.authorize(`https://app.example/${index}`);
    expect(fetched).toHaveLength(30);
    await rig.clock.advance(1_000);
    await rig.authorize("https://app.example/again");
    expect(fetched).toHaveLength(31);
  });
});

describe("what is fetched for a client", () => {
  /** A server on this machine that would answer. */
  async function local(): Promise<{ readonly port: number; readonly requests: string[] }> {
    const requests: string[] = [];
    const server: Server = createServer(newSelfSignedCertificate(), (request, response) => {
      requests.push(request.url ?? "");
      response.end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
    return { port: (server.address() as AddressInfo).port, requests };
  }

  test.each(["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"])(
    "is never at an address of this machine or of a private network: %s",
    async (host) => {
      const { port, requests } = await local();
      const guarded = await ClientRig.start();
      onTestFinished(() => guarded.stop());
      const { answer } = await guarded.authorize(`https://${host}:${port}/client.json`);
      expect(answer.status).toBe(400);
      expect(requests).toEqual([]);
    },
  );
});

describe("a client that registers itself", () => {
  test.each<[string, Fields, Fields]>([
    [
      "may ask for scopes and grants that are unknown here",
      { scope: "openid a b", grant_types: ["authorization_code"] },
      { grant_types: ["authorization_code", "refresh_token"] },
    ],
    [
      "may name what is not used here, and nothing is fetched for it",
      {
        sector_identifier_uri: "https://127.0.0.1/s",
        jwks_uri: "https://127.0.0.1/k",
        id_token_signed_response_alg: "RS256",
        default_max_age: 5,
      },
      { application_type: "native" },
    ],
    [
      "may have a scheme of its own",
      { redirect_uris: ["cursor://anysphere.cursor-retrieval/oauth/callback"] },
      { application_type: "native" },
    ],
    ["may be on the web", { redirect_uris: ["https://claude.ai/api/mcp/auth_callback"] }, { application_type: "web" }],
    ["may be both", { redirect_uris: ["https://vscode.dev/redirect", "http://127.0.0.1/"] }, { application_type: "native" }],
  ])("%s", async (_name, metadata, expected) => {
    expect(await rig.register(metadata)).toMatchObject({ status: 201, json: expected });
    expect(fetched).toEqual([]);
  });

  test.each<[string, Fields]>([
    ["plain http elsewhere", { redirect_uris: ["http://app.example/callback"] }],
    ["a script for an address", { redirect_uris: ["javascript:alert(1)"] }],
    ["no address", { redirect_uris: [] }],
    ["too many addresses", { redirect_uris: Array.from({ length: 21 }, (_, index) => `https://app.example/${index}`) }],
    ["something else than addresses", { redirect_uris: "https://app.example" }],
    ["a name of a page's length", { client_name: "x".repeat(201) }],
  ])("is refused with %s", async (_name, metadata) => {
    expect(await rig.register(metadata)).toMatchObject({ status: 400, json: { error: expect.stringMatching(/^invalid_/) } });
  });

  test("is one of a limited number in a time, and forgotten when nobody consents", async () => {
    const answers = [];
    for (let index = 0; index < 61; index += 1) answers.push(await rig.register());
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(60);
    expect(answers.at(-1)?.status).toBe(429);
    await rig.clock.advance(60_000);
    const clientId = await rig.clientId();
    const used = await rig.clientId();
    await rig.code(used, "alice");
    await rig.clock.advance(7 * 24 * 3600_000);
    expect((await rig.authorize(clientId)).answer.status).toBe(400);
    expect((await rig.authorize(used)).uid).not.toBe("");
  });
});
