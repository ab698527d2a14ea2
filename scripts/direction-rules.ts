import type { ICruiseOptions, IForbiddenRuleType } from "dependency-cruiser";

/*
 * Who may import whom. An arrow that is not here is an error; docs/architecture.md says why each one is.
 * The parser is swc: TypeScript 7 has no API for dependency-cruiser, which would then read 0 modules and report success.
 * scripts/check-direction.ts compares the number of modules with the number of files for that reason.
 */

/** Folder -> the folders that it may import. Everybody may import the kernel, audit and telemetry. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  config: [],
  session: [],
  store: ["session"],
  token: ["session"],
  oidc: ["session", "token"],
  heartbeat: ["session", "token"],
  tool: ["session", "token"],
  mcp: ["session", "tool"],
  transport: ["mcp", "session"],
  local: ["mcp", "session", "token", "transport"],
  "authorization-server": ["session", "token", "oidc", "store"],
  http: ["authorization-server", "console", "demo", "oidc", "session", "token", "transport"],
  console: [],
  demo: [],
  testing: [],
  audit: [],
  telemetry: [],
};

/** Folder -> folders of which it may import types only: it implements their ports. */
const typesOnly: Readonly<Record<string, readonly string[]>> = { oidc: ["session", "token"], store: ["session"] };

/** Package -> the folders that may import it. */
const fences: Readonly<Record<string, readonly string[]>> = {
  "openid-client": ["oidc"],
  oauth4webapi: ["oidc"],
  jose: ["oidc", "authorization-server", "demo", "testing"],
  "@modelcontextprotocol/[^/]+": ["mcp", "transport", "tool"],
  "hono|@hono/[^/]+": ["http", "transport"],
  "async-mutex": ["token", "session"],
  "oidc-provider": ["authorization-server", "demo"],
  "pg|pg-[^/]+": ["store/postgres"],
  ioredis: ["store/redis"],
  "jsonc-parser": ["local"],
};

const kernel = "(errors|clock|logger)[.]ts$";
const everybody = `${kernel}|(audit|telemetry)/`;
const roots = "(main|index|latchkey)[.]ts$|cli/|composition/";

const folderRules: readonly IForbiddenRuleType[] = Object.entries(arrows).map(([folder, targets]) => ({
  name: `arrow-${folder}`,
  comment: `${folder}/ may import ${targets.length === 0 ? "the kernel only" : `${targets.join(", ")} and the kernel`}.`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: {
    path: "^src/",
    pathNot: `^src/(${[folder, ...targets].map((each) => `${each}/`).join("|")}|${folder === "audit" || folder === "telemetry" ? kernel : everybody})`,
  },
}));

const portRules: readonly IForbiddenRuleType[] = Object.entries(typesOnly).map(([folder, targets]) => ({
  name: `ports-${folder}`,
  comment: `${folder}/ implements ports of ${targets.join(", ")}: it imports their types only.`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: { path: `^src/(${targets.join("|")})/`, dependencyTypesNot: ["type-only"] },
}));

const fenceRules: readonly IForbiddenRuleType[] = Object.entries(fences).map(([vendor, folders]) => ({
  name: `fence-${vendor}`,
  comment: `Only ${folders.join(", ")} may import it.`,
  severity: "error",
  from: { path: "^src/", pathNot: `^src/(${folders.join("|")})/` },
  to: { path: `(^|/)node_modules/(${vendor})/` },
}));

/** The rules that `src/` is checked by. */
export const directionRules: readonly IForbiddenRuleType[] = [
  ...folderRules,
  ...portRules,
  ...fenceRules,
  {
    name: "kernel",
    comment: "errors, clock and logger import each other only.",
    severity: "error",
    from: { path: `^src/${kernel}` },
    to: { path: "^src/", pathNot: `^src/${kernel}` },
  },
  {
    name: "roots",
    comment: "Composition roots are imported by composition roots only.",
    severity: "error",
    from: { path: "^src/", pathNot: `^src/(${roots})` },
    to: { path: `^src/(${roots})` },
  },
  {
    name: "known-folders",
    comment: "A new folder needs its arrows here and in docs/architecture.md.",
    severity: "error",
    from: { path: "^src/", pathNot: `^src/(${Object.keys(arrows).join("|")})/|^src/(${kernel})|^src/(${roots})` },
    to: {},
  },
  {
    name: "no-circle",
    comment: "Not even of types: one of the two has a part that belongs into a third file.",
    severity: "error",
    from: {},
    to: { circular: true },
  },
  {
    name: "source-alone",
    comment: "src/ stands alone: no tests, benches, examples, scripts.",
    severity: "error",
    from: { path: "^src/" },
    to: { path: "^(test|bench|examples|scripts|bin)/" },
  },
  {
    name: "resolvable",
    comment: "An import that cannot be resolved cannot be checked.",
    severity: "error",
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: "declared",
    comment: "src/ imports what package.json lists under dependencies.",
    severity: "error",
    from: { path: "^src/" },
    to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "npm-optional"] },
  },
  {
    name: "process-by-hand",
    comment: "What a file needs of the process is handed to it by main.ts.",
    severity: "error",
    from: { path: "^src/", pathNot: "^src/main[.]ts$" },
    to: { path: "^(node:)?(process|console)$" },
  },
];

/** How the files are read. */
export const directionOptions: ICruiseOptions = {
  doNotFollow: { path: "node_modules" },
  exclude: { path: "^src/console/page/" },
  parser: "swc",
  tsPreCompilationDeps: true,
  enhancedResolveOptions: {
    extensions: [".ts", ".js", ".mjs", ".cjs", ".json"],
    exportsFields: ["exports"],
    conditionNames: ["import", "node", "default", "types"],
  },
};
