import * as z from "zod";
import type { ClientInfo } from "../mcp/served-connection.ts";

const clientKey = "io.modelcontextprotocol/clientInfo";
const messageSchema = z.object({ params: z.object({ _meta: z.record(z.string(), z.unknown()) }) });
const clientSchema = z.object({ name: z.string(), version: z.string() });

/** What a client says of itself, as it may go to logs and pages: printable, and short. */
export function shownClient({ name, version }: { readonly name: string; readonly version: string }): ClientInfo {
  return { name: printable(name), version: printable(version) };
}

/** Who sent a message, as each request of the modern era says; undefined: it does not. */
export function modernClientOf(message: unknown): ClientInfo | undefined {
  const client = clientSchema.safeParse(metaOf(message)[clientKey]);
  return client.success ? shownClient(client.data) : undefined;
}

/** The `_meta` of a request or a notification; empty: it has none. */
export function metaOf(message: unknown): Readonly<Record<string, unknown>> {
  const parsed = messageSchema.safeParse(message);
  return parsed.success ? parsed.data.params._meta : {};
}

function printable(text: string): string {
  return text
    .replaceAll(/[\p{C}\p{Z}]+/gu, " ")
    .trim()
    .slice(0, 100);
}
