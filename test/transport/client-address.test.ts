import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { createClientAddress } from "../../src/transport/client-address.ts";

function addressOf(
  remoteAddress: string | undefined,
  forwarded: string | undefined,
  trustedProxies: readonly string[] = [],
): string | undefined {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return createClientAddress(trustedProxies)({ headers, socket: { remoteAddress } } as unknown as IncomingMessage);
}

const inside = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"];

describe("the address of a client", () => {
  test("is the other end of the socket, whatever a header claims, as long as no proxy is trusted", () => {
    expect(addressOf("203.0.113.7", undefined)).toBe("203.0.113.7");
    expect(addressOf("127.0.0.1", "198.51.100.1")).toBe("127.0.0.1");
    expect(addressOf("203.0.113.7", "198.51.100.1", inside)).toBe("203.0.113.7");
    expect(addressOf("::ffff:203.0.113.7", undefined)).toBe("203.0.113.7");
    expect(addressOf(undefined, "198.51.100.1", inside)).toBeUndefined();
  });

  test.each([
    ["what a trusted proxy says", "10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["in front of two trusted proxies", "127.0.0.1", "198.51.100.1, 10.9.9.9", "198.51.100.1"],
    ["never what the client itself wrote", "10.1.2.3", "192.0.2.66, 198.51.100.1", "198.51.100.1"],
    ["never what stands left of what is no address", "10.1.2.3", "198.51.100.1, unknown, 10.0.0.1", "10.0.0.1"],
    ["the outermost trusted proxy when all are", "10.1.2.3", "10.0.0.2, 10.0.0.1", "10.0.0.2"],
    ["the proxy when the header is missing", "10.1.2.3", undefined, "10.1.2.3"],
    ["the proxy when the header is empty", "10.1.2.3", "", "10.1.2.3"],
    ["without a port", "10.1.2.3", "198.51.100.1:4711", "198.51.100.1"],
    ["an IPv6 address without brackets and port", "fd00::1", "[2001:db8::5]:4711", "2001:db8::5"],
    ["an IPv6 address as it is", "fd00::1", "2001:db8::5", "2001:db8::5"],
    ["with a socket that shows IPv4 as IPv6", "::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"],
  ])("is %s", (_name, socket, forwarded, expected) => {
    expect(addressOf(socket, forwarded, inside)).toBe(expected);
  });

  test("is looked for in 32 entries at most", () => {
    const many = Array.from({ length: 40 }, (_, index) => `10.0.0.${index}`).join(",");
    expect(addressOf("10.1.2.3", many, inside)).toBe("10.0.0.8");
  });
});
