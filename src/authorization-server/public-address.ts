import { BlockList, isIP } from "node:net";

/** IPv4 networks that are not of the public internet (IANA's special-purpose registry), multicast among them. */
const specialIPv4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // shared with a carrier
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.31.196.0", 24], // AS112
  ["192.52.193.0", 24], // AMT
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["192.175.48.0", 24], // AS112
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
];
/** The same within the one part of IPv6 that is given out (2000::/3); nothing outside of that part is public. */
const specialIPv6: readonly (readonly [string, number])[] = [
  ["2001::", 23], // protocol assignments, Teredo among them
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4, which has an IPv4 address in it
  ["2620:4f:8000::", 48], // AS112
  ["3fff::", 20], // documentation
];
const nat64 = "64:ff9b::";
const nat64Bits = 96;

const special = new BlockList();
for (const [network, bits] of specialIPv4) {
  special.addSubnet(network, bits, "ipv4");
  special.addSubnet(`${nat64}${network}`, nat64Bits + bits, "ipv6");
}
for (const [network, bits] of specialIPv6) special.addSubnet(network, bits, "ipv6");

const given = new BlockList();
given.addSubnet("2000::", 3, "ipv6");
given.addSubnet(nat64, nat64Bits, "ipv6");

/**
 * Whether an IP address is one of the public internet. An address of a NAT64 gateway (RFC 6052) is what the IPv4 address
 * in it is; mapped IPv4 addresses, and whatever is no IP address, are not public.
 */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !special.check(address, "ipv4");
  return version === 6 && given.check(address, "ipv6") && !special.check(address, "ipv6");
}
