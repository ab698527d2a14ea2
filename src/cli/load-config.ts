import { resolve } from "node:path";
import { type ConfigSurroundings, type LoadedConfig, loadConfigFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { ApiSettings } from "../tool/api.ts";
import { planHttpTool } from "../tool/http-tool-plan.ts";
import type { CommandIo } from "./command.ts";

/** The file that is read when `--config` is not given. */
const defaultConfigFile = "latchkey.config.json";

/** Loads the configuration for a command: the schema's rules, those over several fields, and those of the tools, all at once. */
export function loadConfigFor(io: CommandIo, file: string | undefined, server?: ConfigSurroundings["server"]): LoadedConfig {
  const path = resolve(io.cwd, file ?? defaultConfigFile);
  return loadConfigFile(path, { env: io.env, check: toolProblems, ...(server === undefined ? {} : { server }) });
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
