import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";

/*
 * Makes dist/ out of src/: JavaScript and declarations by tsc, and the console's page as it is.
 */

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const page = join("console", "page");

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { cwd: root, stdio: "inherit" });
if (existsSync(join(root, "src", page))) cpSync(join(root, "src", page), join(dist, page), { recursive: true });
chmodSync(join(root, "bin", "latchkey.js"), 0o755);
