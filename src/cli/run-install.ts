import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type ClientEntry, withEntry, withoutEntry } from "../local/client-entry.ts";
import { type ChangedFile, changeClientFile } from "../local/client-file.ts";
import { clientFile, type LocalClient } from "../local/clients.ts";
import { entryName } from "./client-option.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { entryDifference } from "./entry-difference.ts";
import { configPath, loadConfigFor } from "./load-config.ts";
import { defaultProfile } from "./profile-option.ts";
import { refuseConfiguration } from "./usage.ts";

export interface UninstallOptions {
  readonly client: LocalClient;
  readonly profile: string;
  /** Show it only. */
  readonly print: boolean;
}

export interface InstallOptions extends UninstallOptions {
  /** As it was given. */
  readonly config: string | undefined;
}

/** Runs `latchkey install`. A configuration that is not there is refused; one with problems is told of, since the client has an environment of its own. */
export function runInstall({ client, profile, config, print }: InstallOptions, io: CommandIo): ExitCode {
  const file = configPath(io, config);
  const text = textOf(file);
  const loaded = loadConfigFor(io, config);
  if (text === undefined && !loaded.ok) return refuseConfiguration("install", loaded.problems, io);
  const name = entryName(profile);
  const entry = entryFor(file, profile, io);
  const changed = changeClientFile({
    path: clientFile(client.name, io),
    edit: (old) => withEntry(old, client, name, entry),
    write: !print,
    now: io.clock.now(),
  });
  const exitCode = tell("install", changed, { client, name, print }, io);
  if (exitCode !== 0) return exitCode;
  if (!loaded.ok) io.stderr.write(`The configuration has problems:\n${loaded.problems.map((problem) => `  ${problem}\n`).join("")}`);
  const set = variablesOf(entryOf(changed));
  const missing = [...variablesIn(text ?? "")].filter((variable) => !set.includes(variable));
  if (missing.length > 0)
    io.stderr.write(
      `${file} takes ${missing.join(", ")} from the environment, and a client may start Latchkey without it: add "env" to the entry "${name}", or name a file in the configuration.\n`,
    );
  return 0;
}

/** Runs `latchkey uninstall`. */
export function runUninstall({ client, profile, print }: UninstallOptions, io: CommandIo): ExitCode {
  const name = entryName(profile);
  const changed = changeClientFile({
    path: clientFile(client.name, io),
    edit: (old) => withoutEntry(old, client, name),
    write: !print,
    now: io.clock.now(),
  });
  return tell("uninstall", changed, { client, name, print }, io);
}

function entryFor(configFile: string, profile: string, { nodePath, programPath, env, cwd }: CommandIo): ClientEntry {
  const args = [programPath, "stdio", "--config", configFile, ...(profile === defaultProfile ? [] : ["--profile", profile])];
  const dataDirectory = env["LATCHKEY_DATA_DIR"];
  // Without it the client would look for its login in another store.
  const own: Record<string, string> =
    dataDirectory === undefined || dataDirectory === "" ? {} : { LATCHKEY_DATA_DIR: resolve(cwd, dataDirectory) };
  return { command: nodePath, args, env: own };
}

interface Told {
  readonly client: LocalClient;
  readonly name: string;
  readonly print: boolean;
}

function tell(command: "install" | "uninstall", changed: ChangedFile, { client, name, print }: Told, io: CommandIo): ExitCode {
  switch (changed.kind) {
    case "problem":
      io.stderr.write(`latchkey ${command}: ${changed.problem}\n`);
      return 1;
    case "unchanged": {
      const there = command === "install" ? `has the entry "${name}" already` : `has no entry "${name}"`;
      io.stdout.write(`${client.title} ${there}; nothing was changed (${changed.path}).\n`);
      return 0;
    }
    case "changed": {
      if (print) {
        io.stdout.write(`${changed.path}, ${client.section}.${name}:\n${entryDifference(changed.before, changed.after)}\n`);
        return 0;
      }
      const done =
        command === "install" ? `${client.title} has the entry "${name}" now` : `The entry "${name}" was removed from ${client.title}`;
      io.stdout.write(`${done}: ${changed.path}\n`);
      if (changed.backup !== undefined) io.stdout.write(`What was there before: ${changed.backup}\n`);
      io.stdout.write(`${client.reload}\n`);
      return 0;
    }
  }
}

function entryOf(changed: ChangedFile): unknown {
  return changed.kind === "changed" ? changed.after : changed.kind === "unchanged" ? changed.entry : undefined;
}

/** The names of the variables that an entry sets. */
function variablesOf(entry: unknown): readonly string[] {
  if (typeof entry !== "object" || entry === null || !("env" in entry)) return [];
  return typeof entry.env === "object" && entry.env !== null ? Object.keys(entry.env) : [];
}

/** The names of the variables that a configuration is filled in with. */
function variablesIn(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/(?<!\$)\$\{([A-Za-z_]\w*)/g)].map(([, name = ""]) => name));
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
