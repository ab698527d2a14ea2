import { z } from "zod";
import { nameField, secret, text } from "./fields.ts";

/** Where login sessions are kept. */
export const storeSection = z
  .strictObject({
    type: z
      .enum(["memory", "sqlite"], {
        error: (issue) =>
          typeof issue.input === "string" && ["postgres", "redis"].includes(issue.input)
            ? `is "${issue.input}", which is not available in this version: use "sqlite"`
            : undefined,
      })
      .default("sqlite")
      .describe("Where login sessions are kept. sqlite: in a file, sealed. memory: in this process; they end with it. Default: sqlite."),
    file: text()
      .optional()
      .describe(
        "For sqlite: the file, relative to the configuration file. Default: latchkey.db in the data folder (LATCHKEY_DATA_DIR, else the platform's).",
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
      .describe("The first key seals, the others only unseal. Default: a key file beside the store's file, made with it."),
  })
  .prefault({});
