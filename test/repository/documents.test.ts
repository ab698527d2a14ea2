import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkDocs } from "../../scripts/docs.ts";
import { checkLockfile } from "../../scripts/lockfile.ts";

const root = join(import.meta.dirname, "../..");
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "latchkey-docs-"));
  write("package.json", '{ "scripts": { "check": "true" } }');
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

describe("in the documents, a planted mistake is caught: ", () => {
  test.each([
    ["a link to nowhere", "[here](docs/nothing.md)", "README.md: the link docs/nothing.md leads nowhere"],
    ["a heading that is not there", "# One\n[here](#two)", "README.md: the link #two names a heading that is not there"],
    ["a command that does not exist", "```sh\nlatchkey connect\n```", 'README.md: "latchkey connect" is no command of this version'],
    ["a command in a sentence", "Say `npx latchkey connect`.", 'README.md: "latchkey connect" is no command of this version'],
    ["an option that does not exist", "`latchkey demo --prot 1`", 'README.md: "latchkey demo" has no option --prot'],
    ["a script that does not exist", "`npm run nothing`", 'README.md: there is no "npm run nothing"'],
    ["JSON that is none", "```json\n{,}\n```", "README.md: a fence of JSON is none: {,}\n…"],
    [
      "a configuration that does not load",
      '```json\n{ "authorizationServers": { "main": { "issuer": "https://a.example", "client_id": "a" } } }\n```',
      'README.md: a configuration is wrong: authorizationServers.main.client_id is no known setting. Did you mean "clientId"?',
    ],
  ])("%s", async (_name, text, problem) => {
    write("README.md", `${text}\n`);
    expect(await checkDocs(directory)).toContain(problem);
  });

  test("a decision without its parts, and one that is too long", async () => {
    write("README.md", "# Read me\n");
    write("docs/decisions/0001-something.md", `# 1. Something\n\n## Context\n\n## Decision\n\n## Rejected\n${"more\n".repeat(60)}`);
    expect(await checkDocs(directory)).toEqual([
      "docs/decisions/0001-something.md: a decision has 60 lines at most",
      'docs/decisions/0001-something.md: a decision needs the part "Consequences"',
    ]);
  });

  test("that there is no README", async () => {
    expect(await checkDocs(directory)).toEqual(["README.md is missing"]);
  });
});

test("right documents pass", async () => {
  write("docs/other.md", "# A heading: with `code`, and marks\n");
  write(
    "README.md",
    '# One two\n[a](docs/other.md) [b](docs/other.md#a-heading-with-code-and-marks) [c](#one-two) [d](https://example.com) `latchkey demo --port 1` `npm run check`\n```json\n{ "authorizationServers": { "main": { "issuer": "https://a.example", "clientId": "${ID}" } } }\n```\n',
  );
  expect(await checkDocs(directory)).toEqual([]);
});

test("the project's documents are right", async () => {
  expect(await checkDocs(root)).toEqual([]);
});

describe("the lockfile", () => {
  test("with a download address is caught", () => {
    write(
      "package-lock.json",
      '{ "packages": { "": {}, "node_modules/a": { "resolved": "https://registry.example/a.tgz" }, "node_modules/b": { "resolved": "file:b" }, "node_modules/c": {} } }',
    );
    expect(checkLockfile(directory)).toEqual([
      "package-lock.json: node_modules/a is resolved from https://registry.example/a.tgz; run npm install with omit-lockfile-registry-resolved=true",
    ]);
  });

  test("with nothing in it is caught", () => {
    write("package-lock.json", '{ "packages": {} }');
    expect(checkLockfile(directory)).toEqual(["package-lock.json lists no package"]);
  });

  test("of the project names no download address", () => {
    expect(checkLockfile(root)).toEqual([]);
  });
});
