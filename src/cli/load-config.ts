import { resolve } from "node:path";
import { storeProblems } from "../composition/open-store.ts";
import { dataDirectory } from "../config/data-directory.ts";
import { type ConfigSurroundings, type LoadedConfig, loadConfigFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { ApiSettings } from "../tool/api.ts";
import { planHttpTool } from "../tool/http-tool-plan.ts";
import type { CommandIo } from "./command.ts";

/** The file that is read when `--config` is not given. */
const defaultConfigFile = "latchkey.config.json";

export interface LoadOptions {
  /** Settings from the command line. */
  readonly server?: ConfigSurroundings["server"];
  /** Look at the store's files too: the command will open them. */
  readonly forUse?: boolean;
}

/**
 * Loads the configuration for a command: the schema's rules, those over several fields, those of the tools, and what is
 * wrong with the store's files, all at once.
 */
export function loadConfigFor(io: CommandIo, file: string | undefined, { server, forUse = false }: LoadOptions = {}): LoadedConfig {
  const path = configPath(io, file);
  const check = (config: Config): readonly string[] => [...toolProblems(config), ...(forUse ? storeProblems(config) : [])];
  const surroundings = { env: io.env, dataDirectory: dataDirectory(io), check };
  return loadConfigFile(path, { ...surroundings, ...(server === undefined ? {} : { server }) });
}

/** The absolute path of the configuration that `--config` names; undefined: of the default one. */
export function configPath(io: CommandIo, file: string | undefined): string {
  return resolve(io.cwd, file ?? defaultConfigFile);
}

/** What is wrong with the declared tools beyond their schema: placeholders, arguments that go nowhere or twice, headers. */
function toolProblems(config: Config): readonly string[] {
  return config.tools.flatMap((tool) => {
    // References to APIs and the APIs themselves were checked already: here any sound API will do.
    const check = planHttpTool(tool, new Map([[tool.api, anyApi]]));
    return check.kind === "problems" ? check.problems : [];
  });
}

const anyApi: ApiSettings = { name: "any", baseUrl: "http://127.0.0.1", scopes: [], timeoutSeconds: 1 };
