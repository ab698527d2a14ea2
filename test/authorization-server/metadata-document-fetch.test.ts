import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  fetchMetadataDocument,
  type MetadataDocumentConnection,
  metadataDocumentBytes,
} from "../../src/authorization-server/metadata-document-fetch.ts";
import { newSelfSignedCertificate } from "../support/self-signed-certificate.ts";

/** A server on this machine, and the connection by which it may be reached all the same. */
async function local(answer: RequestListener) {
  const seen = { connections: 0, requests: [] as string[] };
  const certificate = newSelfSignedCertificate();
  const server = createServer(certificate, (request, response) => {
    seen.requests.push(request.url ?? "");
    answer(request, response);
  });
  server.on("connection", () => {
    seen.connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const { port } = server.address() as AddressInfo;
  const allowed: MetadataDocumentConnection = { mayConnect: (address) => address === "127.0.0.1", ca: certificate.cert };
  return { port, seen, allowed, url: `https://127.0.0.1:${port}/client.json` };
}

const refusal = "not at public addresses only";

describe("a metadata document", () => {
  test("is fetched whole, with what is said of its freshness", async () => {
    const body = "x".repeat(metadataDocumentBytes);
    const { url, allowed, seen } = await local((request, response) => {
      response.writeHead(200, { "cache-control": "max-age=60", "x-accept": request.headers.accept }).end(body);
    });
    const response = await fetchMetadataDocument(url, { headers: { accept: "application/json" } }, allowed);
    expect(await response.text()).toBe(body);
    expect(response.headers.get("cache-control")).toBe("max-age=60");
    expect(seen.requests).toEqual(["/client.json"]);
  });

  test("is not looked for where a redirect leads", async () => {
    const { url, allowed, seen } = await local((_request, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    await expect(fetchMetadataDocument(url, {}, allowed)).rejects.toThrow("status 302");
    expect(seen.requests).toEqual(["/client.json"]);
  });

  test("is not read beyond 64 KiB, also when its length is not said", async () => {
    let closed: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const { url, allowed } = await local((_request, response) => {
      response.on("close", closed);
      response.write("x".repeat(metadataDocumentBytes + 1));
    });
    await expect(fetchMetadataDocument(url, {}, allowed)).rejects.toThrow("too large");
    await gone;
  });

  test.each<[string, RequestListener]>([
    ["no answer", () => {}],
    [
      "an answer without an end",
      (_request, response) => {
        response.write("{");
      },
    ],
  ])("is given up after the time limit: %s", async (_name, answer) => {
    const { url, allowed } = await local(answer);
    await expect(fetchMetadataDocument(url, {}, { ...allowed, timeoutMs: 300 })).rejects.toThrow(/abort/i);
  });

  test("is given up after the time limit when the name's lookup has no end", async () => {
    const resolve = () => new Promise<never>(() => {});
    await expect(fetchMetadataDocument("https://app.example/", {}, { resolve, timeoutMs: 50 })).rejects.toThrow(/abort/i);
  });
});

describe("a connection for a metadata document", () => {
  test.each(["127.0.0.1", "localhost", "0.0.0.0", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]"])(
    "is never opened to this machine: %s",
    async (host) => {
      const { port, seen, allowed } = await local((_request, response) => response.end("{}"));
      const { mayConnect: _any, ...usual } = allowed;
      await expect(fetchMetadataDocument(`https://${host}:${port}/`, {}, usual)).rejects.toThrow(refusal);
      expect(seen.connections).toBe(0);
    },
  );

  test.each([
    ["a private one", ["127.0.0.1"]],
    ["a public and a private one", ["1.1.1.1", "127.0.0.1"]],
    ["a private and a public one", ["127.0.0.1", "1.1.1.1"]],
    ["a mapped one", ["::ffff:127.0.0.1"]],
    ["none", []],
  ])("is not opened when the addresses of the name are %s", async (_name, answers) => {
    const { port, seen } = await local((_request, response) => response.end("{}"));
    const resolve = async () => answers.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    await expect(fetchMetadataDocument(`https://app.example:${port}/`, {}, { resolve })).rejects.toThrow(refusal);
    expect(seen.connections).toBe(0);
  });

  test("goes to the address that was checked, though the name leads elsewhere a moment later", async () => {
    const { port, seen, allowed } = await local((_request, response) => response.end("{}"));
    const answers = ["127.0.0.1", "10.0.0.1"];
    let lookups = 0;
    const resolve = async () => [{ address: answers[lookups++] ?? "", family: 4 }];
    // The certificate is not one for this name: that the right server was reached shows in its refusal.
    await expect(fetchMetadataDocument(`https://app.example:${port}/`, {}, { ...allowed, resolve })).rejects.toThrow("app.example");
    expect({ lookups, connections: seen.connections }).toEqual({ lookups: 1, connections: 1 });
    await expect(fetchMetadataDocument(`https://app.example:${port}/`, {}, { ...allowed, resolve })).rejects.toThrow(refusal);
    expect(seen.connections).toBe(1);
  });

  test("is not opened without TLS", async () => {
    await expect(fetchMetadataDocument("http://app.example/", {})).rejects.toThrow("https only");
  });
});
