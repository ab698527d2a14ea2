import type { ClientInfo } from "../mcp/served-connection.ts";

/** What a client says of itself, as it may go to logs and pages: printable, and short. */
export function shownClient({ name, version }: { readonly name: string; readonly version: string }): ClientInfo {
  return { name: printable(name), version: printable(version) };
}

function printable(text: string): string {
  return text
    .replaceAll(/[\p{C}\p{Z}]+/gu, " ")
    .trim()
    .slice(0, 100);
}
