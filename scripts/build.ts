import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";

/*
 * Makes dist/ out of src/: the library as JavaScript and declarations by tsc, the console's page as it is, and the command
 * line as a bundle in dist/command.
 */

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const page = join("console", "page");

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { cwd: root, stdio: "inherit" });
if (existsSync(join(root, "src", page))) cpSync(join(root, "src", page), join(dist, page), { recursive: true });
execFileSync(process.execPath, [join(root, "scripts", "command-bundle.js"), "--must"], { cwd: root, stdio: "inherit" });
chmodSync(join(root, "bin", "latchkey.js"), 0o755);
