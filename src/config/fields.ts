import { isIP } from "node:net";
import { z } from "zod";
import { isLoopbackHost } from "./loopback.ts";

/** A time in seconds, fractions allowed. */
export function seconds(limits: { readonly min: number; readonly max: number }): z.ZodNumber {
  return z.number().min(limits.min).max(limits.max);
}

/** A whole number. */
export function count(limits: { readonly min: number; readonly max: number }): z.ZodInt {
  return z.int().min(limits.min).max(limits.max);
}

/** A text with at least one character. */
export function text(): z.ZodString {
  return z.string().min(1);
}

/** The name of an authorization server or an API: it appears in messages, logs and paths. */
export const nameField = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

export interface AddressRules {
  /** Plain http is allowed on loopback only. */
  readonly httpsBeyondLoopback: boolean;
  /** Scheme, host and port; no path. */
  readonly originOnly?: boolean;
}

/** An absolute http or https address without credentials, query and fragment. */
export function address(rules: AddressRules): z.ZodString {
  return z.string().superRefine((value, context) => {
    const problem = addressProblem(value, rules);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  });
}

/** An IP address, or a range of them in CIDR notation (RFC 4632). Not every address there is: then anybody would be believed. */
export function proxyAddress(): z.ZodString {
  return z.string().superRefine((value, context) => {
    const [address = "", prefix, ...rest] = value.split("/");
    const family = isIP(address);
    const bits = prefix !== undefined && /^\d{1,3}$/.test(prefix) ? Number(prefix) : undefined;
    const isRange = bits !== undefined && bits <= (family === 6 ? 128 : 32);
    if (family === 0 || rest.length > 0 || (prefix !== undefined && !isRange))
      context.addIssue({ code: "custom", message: 'must be an IP address or a range such as "10.0.0.0/8"' });
    else if (bits === 0) context.addIssue({ code: "custom", message: "must be fewer addresses: anybody could claim any address" });
  });
}

/**
 * A secret: a text, usually `${ENV}`, or `{"file": "…"}`. Loading has replaced both before the schema sees them, so the
 * second form stands here for the JSON Schema only.
 */
export function secret(description: string) {
  return z
    .union([text(), z.strictObject({ file: text().describe("Path of a file that holds the secret, relative to the configuration file.") })])
    .transform((value, context): string => {
      if (typeof value === "string") return value;
      context.addIssue({ code: "custom", message: "must be a text" });
      return z.NEVER;
    })
    .meta({ description: `${description} Write "\${NAME}" (an environment variable) or {"file": "path"}.`, writeOnly: true });
}

function addressProblem(value: string, rules: AddressRules): string | undefined {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    return `must be an absolute address such as "https://login.example.com"`;
  if (url.username !== "" || url.password !== "") return "must not carry a user name or a password";
  if (value.includes("?") || value.includes("#")) return "must have neither query nor fragment";
  if (rules.originOnly === true && url.pathname !== "/") return `must have no path: write "${url.origin}"`;
  if (rules.httpsBeyondLoopback && url.protocol === "http:" && !isLoopbackHost(url.hostname))
    return "must begin with https: (http is allowed on loopback only, since secrets travel on it)";
  return undefined;
}
