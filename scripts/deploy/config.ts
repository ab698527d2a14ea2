import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";

/** Values that somebody might set: what they are does not matter, but that there is one. */
const samples: Readonly<Record<string, string>> = {
  LATCHKEY_PUBLIC_URL: "https://latchkey.example.com",
  LATCHKEY_ISSUER: "https://login.example.com",
  LATCHKEY_CLIENT_ID: "latchkey",
  DATABASE_URL: "postgres://latchkey:secret@postgres:5432/latchkey",
};

export function sampleOf(name: string): string {
  return samples[name] ?? `the-value-of-${name}`.padEnd(40, "x");
}

/** Loads the configuration as a replica would with these variables and no others. */
export function configOf(
  where: string,
  text: string,
  env: ReadonlyMap<string, string>,
): { readonly config?: Config; readonly problems: readonly string[] } {
  const used = new Set([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]) => name));
  const unused = [...env.keys()].filter((name) => !used.has(name)).map((name) => `${where}: the configuration does not use ${name}`);
  const loaded = loadConfig(text, { env: Object.fromEntries(env), directory: "/etc/latchkey" });
  if (!loaded.ok) return { problems: [...loaded.problems.map((problem) => `${where}: ${problem}`), ...unused] };
  return { config: loaded.config, problems: unused };
}
