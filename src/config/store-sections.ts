import { z } from "zod";
import { count, nameField, secret, text } from "./fields.ts";

/** Where login sessions are kept. */
export const storeSection = z
  .strictObject({
    type: z
      .enum(["memory", "sqlite", "postgres", "redis"])
      .default("sqlite")
      .describe(
        "Where login sessions are kept, sealed. sqlite: in a file, for one machine. postgres, redis: for replicas on many machines. memory: in this process; they end with it. Default: sqlite.",
      ),
    file: text()
      .optional()
      .describe(
        "For sqlite: the file, relative to the configuration file. Default: latchkey.db in the data folder (LATCHKEY_DATA_DIR, else the platform's).",
      ),
    url: secret(
      'For postgres and redis: the address with user and password, "postgres://user:password@host:5432/database" or "redis://user:password@host:6379/0" (rediss:// for TLS). Default: none.',
    ).optional(),
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, {
        error: 'must be 1 to 63 small letters, digits and "_", beginning with a letter or "_"',
      })
      .optional()
      .describe("For postgres: the schema of Latchkey's tables, which is made if it is missing. Default: latchkey."),
    maxConnections: count({ min: 1, max: 1000 })
      .optional()
      .describe("For postgres: how many connections one process may use, besides one that listens. Default: 10."),
    keyPrefix: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, {
        error: 'must be 1 to 64 letters, digits, "_", "-" and ".", beginning with a letter or a digit',
      })
      .optional()
      .describe("For redis: what all keys begin with, so that several Latchkeys can share a server. Default: latchkey."),
    cluster: z.boolean().optional().describe("For redis: true when the address is a node of a Redis Cluster. Default: false."),
    journalDirectory: text()
      .optional()
      .describe(
        "For postgres and redis: the folder on this machine's disk where replies are kept that the store has not taken yet, relative to the configuration file. Default: replies in the data folder.",
      ),
  })
  .prefault({});

/** What stored login sessions are sealed with. */
export const sealingSection = z
  .strictObject({
    keys: z
      .array(
        z.strictObject({
          id: nameField.describe("A name for the key. It stands beside everything that was sealed with it: never give it to another key."),
          key: secret("The secret, at least 32 characters.").refine((value) => value.length >= 32, {
            error: 'must have at least 32 characters: make one with "openssl rand -base64 32"',
          }),
        }),
      )
      .default([])
      .describe(
        "The first key seals, the others only unseal. Needed for postgres and redis. Default: for sqlite, a key file beside the store's file, made with it.",
      ),
  })
  .prefault({});
