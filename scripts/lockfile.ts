import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Everything in package-lock.json that names a download address: the registry is the installer's choice. One line each. */
export function checkLockfile(directory: string): readonly string[] {
  const lockfile: unknown = JSON.parse(readFileSync(join(directory, "package-lock.json"), "utf8"));
  const packages = typeof lockfile === "object" && lockfile !== null && "packages" in lockfile ? lockfile.packages : undefined;
  if (typeof packages !== "object" || packages === null) return ["package-lock.json has no packages"];
  const entries = Object.entries(packages);
  // Reading nothing must not look like finding nothing.
  if (entries.length < 2) return ["package-lock.json lists no package"];
  return entries.flatMap(([name, entry]: [string, unknown]) => {
    const resolved = typeof entry === "object" && entry !== null && "resolved" in entry ? entry.resolved : undefined;
    const isAddress = typeof resolved === "string" && /^[a-z+]+:/i.test(resolved) && !resolved.startsWith("file:");
    return isAddress
      ? [`package-lock.json: ${name} is resolved from ${resolved}; run npm install with omit-lockfile-registry-resolved=true`]
      : [];
  });
}
