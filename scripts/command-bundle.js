import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Makes dist/command: the command line with all that it imports, a chunk for each part that is loaded when it is needed.
 * JavaScript, since npm runs it after each install (prepare), and without the development dependency "node" that may be
 * a Node that takes no TypeScript. Where rolldown is not installed, the command runs from the source, and nothing is made.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = join(root, "dist", "command");
const page = join(root, "src", "console", "page");

const rolldown = await installed();
if (rolldown !== undefined) {
  // Beside it first: a bundle that is cut short or fails replaces nothing.
  mkdirSync(dirname(target), { recursive: true });
  const made = mkdtempSync(join(dirname(target), "command-"));
  try {
    const bundle = await rolldown({
      input: { main: join(root, "src", "main.ts") },
      platform: "node",
      cwd: root,
      // Drivers look for their native counterpart, which is no dependency of ours.
      external: ["pg-native"],
      // A dependency's dependency builds functions by eval; it does so unbundled as well.
      checks: { eval: false },
    });
    await bundle.write({ dir: made, format: "esm" });
    await bundle.close();
    cpSync(page, join(made, "page"), { recursive: true });
    rmSync(target, { recursive: true, force: true });
    renameSync(made, target);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

async function installed() {
  if (!existsSync(join(root, "src", "main.ts"))) return undefined;
  try {
    return (await import("rolldown")).rolldown;
  } catch (error) {
    if (process.argv.includes("--must")) throw error;
    return undefined;
  }
}
