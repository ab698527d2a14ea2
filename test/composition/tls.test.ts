import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createLatchkey } from "../../src/composition/latchkey.ts";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";

const authorizationServers = { main: { issuer: "https://login.example.com", clientId: "latchkey" } };

test("with server.tls it serves https with that certificate, under an https address", async () => {
  const directory = mkdtempSync(join(tmpdir(), "latchkey-tls-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const { cert, key } = newSelfSignedCertificate();
  writeFileSync(join(directory, "tls.crt"), cert);
  writeFileSync(join(directory, "tls.key"), key);
  const server = { port: 0, tls: { certificateFile: "tls.crt", keyFile: "tls.key" }, replica: "r1" };
  const latchkey = createLatchkey({ directory, config: { server, authorizationServers, store: { type: "memory" } } });
  onTestFinished(() => latchkey.close());
  const { url } = await latchkey.start();
  expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const status = await new Promise((resolve, reject) => {
    get(`${url}/health/live`, { ca: cert, agent: false }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });
  expect(status).toBe(200);
});
