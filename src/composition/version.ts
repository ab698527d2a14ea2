import { readFileSync } from "node:fs";

/** The version in the package's own package.json, which stands two folders above this file, in a clone and in a package. */
export function latchkeyVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return typeof version === "string" ? version : "unknown";
}
