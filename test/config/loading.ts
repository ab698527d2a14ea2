import { expect } from "vitest";
import { type ConfigSurroundings, loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";

/** Loads a configuration that is given as an object, or as text. */
export function load(config: unknown, surroundings: Partial<ConfigSurroundings> = {}): ReturnType<typeof loadConfig> {
  const text = typeof config === "string" ? config : JSON.stringify(config);
  return loadConfig(text, { env: {}, directory: "/nowhere", dataDirectory: "/nowhere/data", ...surroundings });
}

export function problemsOf(config: unknown, surroundings: Partial<ConfigSurroundings> = {}): readonly string[] {
  const loaded = load(config, surroundings);
  return loaded.ok ? [] : loaded.problems;
}

export function mustLoad(config: unknown, surroundings: Partial<ConfigSurroundings> = {}): Config {
  const loaded = load(config, surroundings);
  expect(loaded.ok ? [] : loaded.problems).toEqual([]);
  if (!loaded.ok) throw new Error("not loaded");
  return loaded.config;
}

/** A sound configuration, with these sections besides. */
export function sound(sections: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { authorizationServers: { main: { issuer: "https://login.example.com", clientId: "latchkey" } }, ...sections };
}

/** The authorization server "main" with these settings besides. */
export function withServer(
  settings: Readonly<Record<string, unknown>>,
  sections: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return { authorizationServers: { main: { issuer: "https://login.example.com", clientId: "latchkey", ...settings } }, ...sections };
}
