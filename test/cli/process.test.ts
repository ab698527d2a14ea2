import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const bin = join(root, "bin/latchkey.js");
const version: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

/** A Node that Latchkey does not run on, if this machine has one. */
const oldNode = ["/usr/bin/node", "/usr/local/bin/node"].find((path) => existsSync(path) && isTooOld(path));

function isTooOld(node: string): boolean {
  const [major = 0, minor = 0] = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).split(".").map(Number);
  return major < 22 || (major === 22 && minor < 19);
}

function call(
  node: string,
  file: string,
  args: readonly string[],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(node, [file, ...args], { encoding: "utf8", cwd: tmpdir() });
  return { status, stdout, stderr: withoutNodeWarnings(stderr) };
}

/** Node 22 says that it strips types. */
function withoutNodeWarnings(stderr: string): string {
  return stderr.replace(/^\(node:\d+\) ExperimentalWarning: Type Stripping.*\n\(Use .*\n/m, "");
}

describe("the command, as a process of its own", () => {
  test("ends with the command's exit code, and keeps stdout and stderr apart", () => {
    expect(call(process.execPath, bin, ["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    expect(call(process.execPath, bin, ["nonsense"])).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringContaining("no command"),
    });
  });

  test("a reader that goes away early is no failure", async () => {
    const child = spawn(process.execPath, [bin, "config", "schema"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect({ status, stderr: withoutNodeWarnings(stderr) }).toEqual({ status: 0, stderr: "" });
  });
});

describe("the entry file", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "latchkey-bin-"));
    mkdirSync(join(directory, "bin"));
    cpSync(bin, join(directory, "bin/latchkey.js"));
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function write(path: string, text: string): void {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), text);
  }

  test("runs the package's bundle", () => {
    write("dist/command/main.js", 'process.stdout.write("dist");');
    expect(call(process.execPath, join(directory, "bin/latchkey.js"), [])).toEqual({ status: 0, stdout: "dist", stderr: "" });
  });

  /** Gives a file or folder a time of modification, in seconds since 1970. */
  function age(path: string, seconds: number): void {
    utimesSync(join(directory, path), seconds, seconds);
  }

  function clone(): void {
    write("dist/command/main.js", 'process.stdout.write("bundle");');
    write("src/main.ts", 'const text: string = "source"; process.stdout.write(text);');
    write("src/part/part.ts", "");
    age("dist/command/main.js", 2000);
    for (const path of ["src/main.ts", "src/part/part.ts", "src/part", "src"]) age(path, 1000);
  }

  test("runs a clone's bundle when it is at least as new as the source", () => {
    clone();
    expect(call(process.execPath, join(directory, "bin/latchkey.js"), [])).toMatchObject({ status: 0, stdout: "bundle" });
  });

  test.each(["src/part/part.ts", "src/part"])("runs a clone's source, and not the bundle of last week, once %s is newer", (path) => {
    clone();
    age(path, 3000);
    expect(call(process.execPath, join(directory, "bin/latchkey.js"), [])).toMatchObject({ status: 0, stdout: "source" });
  });

  test("runs a clone's source when there is no bundle", () => {
    clone();
    rmSync(join(directory, "dist"), { recursive: true });
    expect(call(process.execPath, join(directory, "bin/latchkey.js"), [])).toMatchObject({ status: 0, stdout: "source" });
  });

  test.skipIf(oldNode === undefined)("under an old Node says what to install, before anything is loaded", () => {
    write("dist/command/main.js", 'process.stdout.write("dist");');
    const { status, stdout, stderr } = call(oldNode ?? "", join(directory, "bin/latchkey.js"), []);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(
      /^latchkey needs Node\.js 22\.19 or newer, and this is \d+\.\d+\.\d+\.\nInstall a current one from https:\/\/nodejs\.org/,
    );
  });

  test.skipIf(oldNode === undefined)(
    "under an old Node, in a clone, goes on with the clone's own: arguments, input, signals and exit code pass through",
    async () => {
      const main = `
      process.stdout.write("ready " + process.argv.slice(2).join(" ") + "\\n");
      process.stdin.once("data", (chunk) => process.stdout.write("got " + chunk));
      process.on("SIGTERM", () => { process.exitCode = 7; process.stdin.destroy(); });
    `;
      write("src/main.ts", main);
      mkdirSync(join(directory, "node_modules/node/bin"), { recursive: true });
      write("node_modules/node/bin/node", `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
      execFileSync("chmod", ["+x", join(directory, "node_modules/node/bin/node")]);
      const child = spawn(oldNode ?? "", [join(directory, "bin/latchkey.js"), "one", "--two"], { stdio: ["pipe", "pipe", "pipe"] });
      const output: string[] = [];
      const got = new Promise<void>((resolve) => {
        child.stdout.on("data", (chunk: Buffer) => {
          output.push(chunk.toString());
          if (output.join("").includes("got ")) resolve();
        });
      });
      child.stdin.write("input\n");
      await got;
      child.kill("SIGTERM");
      const status = await new Promise((resolve) => child.on("close", resolve));
      expect(output.join("")).toBe("ready one --two\ngot input\n");
      expect(status).toBe(7);
    },
  );
});
