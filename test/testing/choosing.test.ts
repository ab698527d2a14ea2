import { describe, expect, test } from "vitest";
import { faultServer, get, refresh } from "./plain-client.ts";

describe("a function that chooses", () => {
  test("is asked for each refresh, with the generation that is presented", async () => {
    const server = await faultServer();
    const { refreshToken, family } = await server.issue({ subject: "alice" });
    const asked: unknown[] = [];
    const rule = server.choose((request) => {
      asked.push(request);
      return request.generation === 1 ? { kind: "empty" } : undefined;
    });
    const first = await refresh(server, refreshToken);
    expect(first.status).toBe(200);
    const { status, text } = await refresh(server, first.json["refresh_token"]);
    expect({ status, text }).toEqual({ status: 400, text: "" });
    await get(`${server.issuer}/userinfo`);
    expect(asked).toEqual([0, 1].map((generation) => ({ target: "refresh", clientId: "client", subject: "alice", family, generation })));
    expect(rule.hits).toBe(1);
    rule.clear();
    expect((await refresh(server, first.json["refresh_token"])).status).toBe(200);
  });

  test("can be limited, and asked for other requests", async () => {
    const server = await faultServer();
    server.choose(() => ({ kind: "unavailable" }), { target: "jwks", next: 1 });
    expect((await get(`${server.issuer}/jwks`)).status).toBe(503);
    expect((await get(`${server.issuer}/jwks`)).status).toBe(200);
  });
});

describe("requests that are held", () => {
  test("each wait for a promise of their own, where a function gives them, and are counted while they are under way", async () => {
    const server = await faultServer();
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let held = 0;
    server.set({ kind: "held", until: () => gates[held++]?.promise ?? Promise.resolve(), at: "before" }, { target: "userinfo" });
    const arrived = server.nextRequest("userinfo");
    const first = get(`${server.issuer}/userinfo`);
    await arrived;
    const second = get(`${server.issuer}/userinfo`);
    await server.nextRequest("userinfo");
    gates[1]?.resolve();
    expect((await second).status).toBe(401);
    expect(server.mostAtOnce("userinfo")).toBe(2);
    expect(server.mostAtOnce("any")).toBe(2);
    expect(server.mostAtOnce("token")).toBe(0);
    gates[0]?.resolve();
    expect((await first).status).toBe(401);
    await get(`${server.issuer}/jwks`);
    expect(server.mostAtOnce("any")).toBe(2);
  });
});

describe("keys that are rotated", () => {
  test("have new names in the key set and in ID tokens, and the old ones are gone", async () => {
    const server = await faultServer();
    const keyIds = async (): Promise<unknown> => {
      const { keys } = (await get(`${server.issuer}/jwks`)).json;
      return Array.isArray(keys) ? keys.map(({ kid, alg }) => `${kid} ${alg}`) : keys;
    };
    expect(await keyIds()).toEqual(["ES256 ES256"]);
    server.rotateKeys();
    expect(await keyIds()).toEqual(["ES256-1 ES256"]);
    const { idToken } = await server.issue({ subject: "alice" });
    expect(JSON.parse(Buffer.from(idToken.split(".")[0] ?? "", "base64url").toString())).toEqual({ alg: "ES256", kid: "ES256-1" });
  });
});
