import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { createHostCheck, type HostSettings } from "../../src/transport/host-check.ts";

function verdict(
  headers: { host?: string; origin?: string },
  settings: Partial<HostSettings> = {},
  socket: { localAddress?: string; localPort?: number; encrypted?: boolean } = { localAddress: "127.0.0.1", localPort: 8420 },
): string {
  const result = createHostCheck({ allowedHosts: [], corsOrigins: [], ...settings })({ headers, socket } as unknown as IncomingMessage);
  return result.kind === "allowed" ? result.origin : result.kind;
}

const publicly = { publicUrl: "https://mcp.example.com" };

describe("the Host check (B12)", () => {
  test.each([
    ["localhost:8420", "none"],
    ["LOCALHOST:8420", "none"],
    ["127.0.0.1:8420", "none"],
    ["[::1]:8420", "none"],
    ["localhost:9999", "refused"],
    ["localhost", "refused"],
    ["localhost.evil.example:8420", "refused"],
    ["127.0.0.1.evil.example:8420", "refused"],
    ["evil.example:8420", "refused"],
    ["localhost:8420@evil.example", "refused"],
    ["", "refused"],
  ])("on loopback: %s is %s", (host, expected) => {
    expect(verdict({ host })).toBe(expected);
  });

  test("refuses a request without a Host header", () => {
    expect(verdict({})).toBe("refused");
  });

  test("takes a loopback name only when the request came in over loopback", () => {
    expect(verdict({ host: "localhost:8420" }, {}, { localAddress: "10.0.0.5", localPort: 8420 })).toBe("refused");
    expect(verdict({ host: "localhost:8420" }, {}, { localAddress: "::ffff:127.0.0.1", localPort: 8420 })).toBe("none");
    expect(verdict({ host: "localhost:8420" }, {}, { localPort: 8420 })).toBe("refused");
  });

  test("knows the default ports", () => {
    expect(verdict({ host: "localhost" }, {}, { localAddress: "::1", localPort: 80 })).toBe("none");
    expect(verdict({ host: "localhost" }, {}, { localAddress: "::1", localPort: 443, encrypted: true })).toBe("none");
  });

  test("takes the public host and the allowed ones, with a port where one is named", () => {
    const settings = { ...publicly, allowedHosts: ["mcp.internal", "other.internal:8443"] };
    for (const host of ["mcp.example.com", "mcp.internal", "mcp.internal:1234", "other.internal:8443"])
      expect(verdict({ host }, settings, { localAddress: "10.0.0.5" })).toBe("none");
    for (const host of ["other.internal", "mcp.example.com:444", "example.com"])
      expect(verdict({ host }, settings, { localAddress: "10.0.0.5" })).toBe("refused");
  });
});

describe("the Origin check (B12)", () => {
  test.each([
    ["mcp.example.com", "https://mcp.example.com", "own"],
    ["mcp.example.com", "http://mcp.example.com", "refused"],
    ["mcp.example.com", "https://mcp.example.com.evil.example", "refused"],
    ["mcp.example.com", "https://page.example", "cors"],
    ["mcp.example.com", "https://other.example", "refused"],
    ["mcp.example.com", "null", "refused"],
    ["localhost:8420", "http://localhost:8420", "own"],
    ["localhost:8420", "http://localhost:3000", "refused"],
    ["localhost:8420", "http://127.0.0.1:8420", "refused"],
    ["localhost:8420", "https://mcp.example.com", "own"],
  ])("at %s: a page of %s is %s", (host, origin, expected) => {
    expect(verdict({ host, origin }, { ...publicly, corsOrigins: ["https://page.example/"] })).toBe(expected);
  });
});
