import { z } from "zod";
import { authorizationServerSection } from "./authorization-server-section.ts";
import { count, nameField, seconds, secret } from "./fields.ts";
import { serverSection } from "./server-section.ts";
import { sealingSection, storeSection } from "./store-sections.ts";
import { apiSection, toolSection } from "./tool-sections.ts";

const day = 86_400;

const refreshSection = z
  .strictObject({
    timeoutSeconds: seconds({ min: 1, max: 120 })
      .optional()
      .describe("How long one refresh may take, in seconds. Default: a quarter of the access token's lifetime, at least 3 and at most 20."),
  })
  .prefault({});

const heartbeatSection = z
  .strictObject({
    intervalSeconds: seconds({ min: 0.05, max: 60 })
      .default(0.25)
      .describe("How often to look for login sessions that are due for a refresh, in seconds. Default: 0.25."),
    concurrencyPerIssuer: count({ min: 1, max: 1000 })
      .default(16)
      .describe("How many refreshes may be under way at one authorization server. Default: 16."),
    refreshesPerSecondPerIssuer: count({ min: 1, max: 100_000 })
      .default(500)
      .describe(
        "How many refreshes may begin at one authorization server in a second, on average; callers who wait go first. Default: 500, twice what 5,000 login sessions with access tokens of 30 s need.",
      ),
  })
  .prefault({});

const sessionSection = z
  .strictObject({
    idleLimitSeconds: seconds({ min: 60, max: 3650 * day })
      .default(14 * day)
      .describe("A login session that nobody uses ends after this time, in seconds. Default: 1209600 (14 days)."),
    absoluteLimitSeconds: seconds({ min: 60, max: 3650 * day })
      .optional()
      .describe("Every login session needs a new login after this time, in seconds. Default: no limit."),
    tombstoneSeconds: seconds({ min: 60, max: 365 * day })
      .default(day)
      .describe("How long an ended login session can still be looked up, in seconds. Default: 86400 (24 hours)."),
  })
  .prefault({});

const importSection = z.strictObject({
  secret: secret("The secret with which a trusted backend imports logins, at least 32 characters.").refine((value) => value.length >= 32, {
    error: 'must have at least 32 characters: make one with "openssl rand -base64 32"',
  }),
});

const limitsSection = z
  .strictObject({
    bodyBytes: count({ min: 1024, max: 1_073_741_824 })
      .default(4_194_304)
      .describe("The largest request body, in bytes. Default: 4194304 (4 MiB)."),
    maxConnections: count({ min: 1, max: 10_000_000 }).default(10_000).describe("How many MCP connections may be open. Default: 10000."),
    maxConnectionsPerLogin: count({ min: 1, max: 1_000_000 })
      .default(100)
      .describe("How many MCP connections one login session may have open; at the limit its longest idle one makes room. Default: 100."),
    idleConnectionSeconds: seconds({ min: 1, max: day })
      .default(1800)
      .describe("A Streamable HTTP connection without a request or an open stream closes after this time, in seconds. Default: 1800."),
    keysPerLogin: count({ min: 1, max: 1000 }).default(20).describe("How many connection keys one login session may have. Default: 20."),
  })
  .prefault({});

const logSection = z
  .strictObject({
    level: z.enum(["debug", "info", "warn", "error"]).default("info").describe("The least important lines to write. Default: info."),
    format: z
      .enum(["auto", "json", "text"])
      .default("auto")
      .describe("JSON lines, or text for a person. Default: auto (text on a terminal, else JSON)."),
  })
  .prefault({});

/** The whole of `latchkey.config.json`. Strict: an unknown key is an error. */
export const configSchema = z
  .strictObject({
    $schema: z.string().optional().describe("Address of the JSON Schema, for editors. Latchkey does not read it."),
    server: serverSection.describe("The web server."),
    authorizationServers: z
      .record(nameField, authorizationServerSection)
      .refine((servers) => Object.keys(servers).length > 0, {
        error: 'must have at least one entry: "main": { "issuer": "…", "clientId": "…" }',
      })
      .describe('The authorization servers that users sign in at, by a name of your choice: {"main": {"issuer": "…", "clientId": "…"}}.'),
    apis: z
      .record(nameField, apiSection)
      .default({})
      .describe("The protected APIs that tools call, by a name of your choice. Default: none."),
    tools: z.array(toolSection).default([]).describe("Tools that send one request to an API. Default: none."),
    refresh: refreshSection.describe("How access tokens are refreshed."),
    heartbeat: heartbeatSection.describe("How login sessions are kept alive."),
    session: sessionSection.describe("How long login sessions last."),
    store: storeSection.describe("Where login sessions are kept."),
    sealing: sealingSection.describe("The keys that stored login sessions are sealed with."),
    import: importSection.optional().describe("Import of logins by a trusted backend. Default: off."),
    limits: limitsSection.describe("Upper limits."),
    log: logSection.describe("The log, on stderr."),
  })
  .meta({ title: "latchkey.config.json", description: "The configuration of Latchkey." });

/** The configuration as the rest of Latchkey sees it: checked, with defaults filled in and secrets in clear. */
export type Config = z.output<typeof configSchema>;
