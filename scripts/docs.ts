import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { commandNames, loadCommand } from "../src/cli/commands.ts";
import { loadConfig } from "../src/config/load.ts";

/** All Markdown that belongs to the project. */
function documents(directory: string): readonly string[] {
  return globSync(["*.md", "docs/**/*.md", "examples/**/*.md"], { cwd: directory }).sort();
}

/** What is wrong in the documents: links to nowhere, configurations that do not load, commands and scripts that do not exist. One line each. */
export async function checkDocs(directory: string): Promise<readonly string[]> {
  const files = documents(directory);
  if (!files.includes("README.md")) return ["README.md is missing"];
  const problems: string[] = [];
  for (const file of files) {
    const text = readFileSync(join(directory, file), "utf8");
    const found = [
      ...linkProblems(directory, file, text),
      ...configProblems(text),
      ...(await commandProblems(text)),
      ...scriptProblems(directory, text),
    ];
    if (/^docs\/decisions\/\d/.test(file)) found.push(...decisionProblems(file, text));
    problems.push(...found.map((problem) => `${file}: ${problem}`));
  }
  return problems;
}

function linkProblems(directory: string, file: string, text: string): readonly string[] {
  const links = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  return links
    .filter((link) => !/^[a-z]+:/i.test(link))
    .flatMap((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? join(directory, file) : resolve(directory, dirname(file), path);
      if (!existsSync(target)) return [`the link ${link} leads nowhere`];
      if (anchor === undefined || !target.endsWith(".md")) return [];
      return headings(readFileSync(target, "utf8")).includes(anchor) ? [] : [`the link ${link} names a heading that is not there`];
    });
}

function headings(text: string): readonly string[] {
  return [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ +(.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function fences(text: string): readonly { readonly language: string; readonly body: string }[] {
  return [...text.matchAll(/^```(\w*)[^\n]*\n([\s\S]*?)^```/gm)].map(([, language = "", body = ""]) => ({ language, body }));
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
}

/** A fence of JSON with `authorizationServers` in it is a whole configuration; any other one must at least be JSON. */
function configProblems(text: string): readonly string[] {
  return fences(text)
    .filter(({ language }) => language === "json")
    .flatMap(({ body }) => {
      if (!body.includes('"authorizationServers"')) return isJson(body) ? [] : [`a fence of JSON is none: ${body.slice(0, 40)}…`];
      const env = Object.fromEntries([...body.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]) => [name, "x".repeat(40)]));
      const loaded = loadConfig(body, { env, directory: "/", dataDirectory: "/" });
      // A secret's file is on the reader's machine.
      return loaded.ok
        ? []
        : loaded.problems
            .filter((problem) => !problem.includes(" needs the file "))
            .map((problem) => `a configuration is wrong: ${problem}`);
    });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Every `latchkey …` in code must be a command of this version, with options that it has. */
async function commandProblems(text: string): Promise<readonly string[]> {
  const code = [
    ...fences(text)
      .filter(({ language }) => language !== "json")
      .map(({ body }) => body),
    ...inlineCode(text),
  ];
  const calls = code.flatMap((body) => [...body.matchAll(/(?:^|[\s"'/])latchkey(?:\.js)? ([a-z][a-z-]*)([^\n|;&]*)/gm)]);
  const problems: string[] = [];
  for (const [, name = "", rest = ""] of calls) {
    if (!commandNames.includes(name)) problems.push(`"latchkey ${name}" is no command of this version`);
    const help = (await loadCommand(name))?.help ?? "";
    for (const [option] of rest.matchAll(/--[a-z][a-z-]*/g))
      if (!help.includes(option) && option !== "--help") problems.push(`"latchkey ${name}" has no option ${option}`);
  }
  return problems;
}

function inlineCode(text: string): readonly string[] {
  return [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
}

function scriptProblems(directory: string, text: string): readonly string[] {
  const manifest: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  const scripts = typeof manifest === "object" && manifest !== null && "scripts" in manifest ? Object(manifest.scripts) : {};
  return [...text.matchAll(/npm run ([a-z][\w:-]*)/g)].flatMap(([, name = ""]) =>
    Object.hasOwn(scripts, name) ? [] : [`there is no "npm run ${name}"`],
  );
}

function decisionProblems(file: string, text: string): readonly string[] {
  const problems: string[] = [];
  if (!/^docs\/decisions\/\d{4}-[a-z0-9-]+\.md$/.test(file)) problems.push("a decision's name is NNNN-title.md");
  if (text.split("\n").length > 61) problems.push("a decision has 60 lines at most");
  for (const part of ["Context", "Decision", "Consequences", "Rejected"])
    if (!text.includes(`\n## ${part}\n`)) problems.push(`a decision needs the part "${part}"`);
  return problems;
}
