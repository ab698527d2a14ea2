import { createServer, type Server } from "node:https";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";
import { adapterFor, refreshRequest, tokenBody } from "./fixtures.ts";

let server: Server;
let issuer: string;
let certificate: string;
const bodies: string[] = [];

beforeAll(async () => {
  const pair = newSelfSignedCertificate();
  certificate = pair.cert;
  server = createServer(pair, async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    if (request.url === "/token") bodies.push(body);
    const discovery = { issuer, token_endpoint: `${issuer}/token`, authorization_endpoint: `${issuer}/authorize` };
    response.setHeader("content-type", "application/json").end(JSON.stringify(request.url === "/token" ? tokenBody : discovery));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  issuer = `https://127.0.0.1:${address.port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe("an authorization server behind TLS", () => {
  it("gets no byte of a refresh while its certificate is not trusted, and the error says what to do", async () => {
    const endpoints = { authorization: `${issuer}/authorize`, token: `${issuer}/token`, jwks: `${issuer}/jwks` };
    const outcome = await adapterFor({ issuer }, { endpoints }).refresh(refreshRequest());
    if (outcome.kind !== "not_sent" || !(outcome.cause instanceof Error)) throw new Error(outcome.kind);
    expect(outcome.cause).toMatchObject({ code: "tls" });
    expect(outcome.cause.message).toContain("NODE_EXTRA_CA_CERTS");
    expect(bodies).toEqual([]);
  });

  it("is refreshed at when its certificate is trusted", async () => {
    const before = tls.getCACertificates("default");
    tls.setDefaultCACertificates([...before, certificate]);
    try {
      expect((await adapterFor({ issuer }).refresh(refreshRequest())).kind).toBe("rotated");
      expect(bodies).toEqual(["refresh_token=rt-1&grant_type=refresh_token"]);
    } finally {
      tls.setDefaultCACertificates(before);
    }
  });
});
