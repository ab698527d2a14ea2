import { z } from "zod";
import { address, count, proxyAddress, text } from "./fields.ts";

/** The web server: where it listens and how the outside reaches it. */
export const serverSection = z
  .strictObject({
    publicUrl: address({ httpsBeyondLoopback: true, originOnly: true })
      .overwrite((value) => URL.parse(value)?.origin ?? value)
      .optional()
      .describe(
        'The origin that users and MCP clients reach, such as "https://latchkey.example.com". Default: http, or https with tls, at host and port.',
      ),
    host: text().default("127.0.0.1").describe("The address to listen on. Default: 127.0.0.1. Beyond loopback, publicUrl must be set."),
    port: count({ min: 0, max: 65535 }).default(8420).describe("The TCP port to listen on; 0 takes a free one. Default: 8420."),
    replica: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/, { error: 'must be 1 to 32 small letters, digits and "-"' })
      .optional()
      .describe(
        'The name of this replica. The ids of its MCP connections end in ".NAME", so that a load balancer can send later requests of a connection to it. Default: none, for a server that runs alone.',
      ),
    trustedProxies: z
      .array(proxyAddress())
      .default([])
      .describe(
        'Addresses and ranges ("10.0.0.0/8") of proxies whose X-Forwarded-For is believed for the addresses of clients in audit events. X-Forwarded-Host and X-Forwarded-Proto are never read: publicUrl says both. Default: none.',
      ),
    corsOrigins: z
      .array(
        z.string().refine((value) => URL.parse(value)?.origin === value && value !== "null", {
          error: 'must be an origin such as "https://app.example.com", without a path and without a slash at its end',
        }),
      )
      .default([])
      .describe("Origins whose pages may call /mcp, /.well-known and the token endpoints. Default: none."),
    clientAccessTokenSeconds: count({ min: 30, max: 3600 })
      .default(300)
      .describe(
        "How long an access token lives that Latchkey gives to an MCP client, in seconds. It is a JWT that is asked about nowhere; whatever its life, it is refused as soon as its login session has ended. Many clients refresh before every request when it lives 60 s or less. Default: 300.",
      ),
    tls: z
      .strictObject({
        certificateFile: text().describe("PEM file with the certificate chain, relative to the configuration file."),
        keyFile: text().describe("PEM file with the private key, relative to the configuration file."),
      })
      .optional()
      .describe("Serve https directly. Default: plain http, behind a proxy or on loopback."),
  })
  .prefault({});
