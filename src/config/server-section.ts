import { z } from "zod";
import { address, count, text } from "./fields.ts";

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
    corsOrigins: z
      .array(
        z.string().refine((value) => URL.parse(value)?.origin === value && value !== "null", {
          error: 'must be an origin such as "https://app.example.com", without a path and without a slash at its end',
        }),
      )
      .default([])
      .describe("Origins whose pages may call /mcp, /.well-known and the token endpoints. Default: none."),
    tls: z
      .strictObject({
        certificateFile: text().describe("PEM file with the certificate chain, relative to the configuration file."),
        keyFile: text().describe("PEM file with the private key, relative to the configuration file."),
      })
      .optional()
      .describe("Serve https directly. Default: plain http, behind a proxy or on loopback."),
  })
  .prefault({});
