import { existsSync } from "node:fs";
import { join } from "node:path";
import { commandNames } from "../../src/cli/commands.ts";
import { healthPaths } from "../../src/http/health-routes.ts";
import { imageProblems } from "./tree.ts";

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** What the other files rely on. */
export interface ImageFacts {
  readonly port: number;
  readonly dataDirectory: string;
  readonly configFile: string;
}

/** What is wrong with the Dockerfile, and what it promises. `dockerignore` is an allow list. */
export function readDockerfile(
  root: string,
  text: string,
  dockerignore: string,
): { readonly facts: ImageFacts; readonly problems: readonly string[] } {
  const all = instructions(text);
  const last = all.slice(all.findLastIndex(({ name }) => name === "FROM"));
  const one = (name: string): string => last.find((each) => each.name === name)?.rest ?? "";
  const port = Number(one("EXPOSE"));
  const dataDirectory = one("VOLUME");
  const command = list(one("CMD"));
  const check = one("HEALTHCHECK");
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(`deploy/Dockerfile: ${problem}`));
  for (const { rest } of all.filter(({ name }) => name === "FROM"))
    problems.push(...imageProblems("deploy/Dockerfile", rest.split(/\s+/)[0] ?? ""));
  must(/^[1-9]\d*:[1-9]\d*$/.test(one("USER")), "USER must be numbers, and not root");
  must(one("STOPSIGNAL") === "SIGTERM", "STOPSIGNAL must be SIGTERM, which Latchkey drains at");
  must(
    dataDirectory.startsWith("/") && one("ENV").includes(`LATCHKEY_DATA_DIR=${dataDirectory}`),
    "VOLUME and LATCHKEY_DATA_DIR must be one folder",
  );
  must(check.includes(`http://127.0.0.1:${port}${healthPaths.live}'`), `HEALTHCHECK must ask ${healthPaths.live} at the port of EXPOSE`);
  must(list(check.slice(check.indexOf("CMD") + 3))[0] === "node", "HEALTHCHECK must be run by node: there is nothing else in the image");
  must(list(one("ENTRYPOINT")).at(-1) === "/app/bin/latchkey.js", "ENTRYPOINT must be a list that ends in the bin of the package");
  must(commandNames.includes(command[0] ?? ""), "CMD must be a list that begins with a command of Latchkey");
  must(
    all.some(({ name, rest }) => name === "RUN" && /npm ci [^&]*--omit=dev/.test(rest)),
    "the dependencies must be installed by npm ci --omit=dev",
  );
  for (const { name, rest } of all.filter((each) => ["ARG", "ENV"].includes(each.name)))
    must(!/secret|password|token|database_url|_key/i.test(rest), `${name} ${rest}: a secret would stay in a layer`);
  for (const source of all.flatMap(copiedFromContext)) {
    must(existsSync(join(root, source)), `COPY ${source}: there is no such file`);
    must(dockerignore.split("\n").includes(`!${source.replace(/^\.\//, "")}`), `COPY ${source}: .dockerignore leaves it out`);
  }
  must(dockerignore.split("\n").includes("*"), ".dockerignore must leave out everything that it does not name");
  return { facts: { port, dataDirectory, configFile: command.at(-1) ?? "" }, problems };
}

function instructions(text: string): readonly Instruction[] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  return lines.flatMap((line) => {
    const [, name, rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, rest: rest.trim() }];
  });
}

function copiedFromContext({ name, rest }: Instruction): readonly string[] {
  if (name !== "COPY" || rest.includes("--from=")) return [];
  return rest
    .split(/\s+/)
    .filter((part) => !part.startsWith("--"))
    .slice(0, -1);
}

/** The exec form. */
function list(text: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return [];
  }
}
