// How long `latchkey demo` takes to its ready line, against a bare Node start in the same run.
//   npx node bench/demo-start.ts [--rounds 7]
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" } } });
const rounds = Number(values.rounds);
const bin = fileURLToPath(new URL("../bin/latchkey.js", import.meta.url));

/** Milliseconds until the process prints its first line, or ends. */
function firstLine(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [...args], { stdio: ["ignore", "pipe", "ignore"] });
    let taken: number | undefined;
    child.stdout.once("data", () => {
      taken = performance.now() - begun;
      child.kill("SIGTERM");
    });
    child.once("error", reject);
    child.once("exit", () => resolve(taken ?? performance.now() - begun));
  });
}

const bare: number[] = [];
const demo: number[] = [];
await firstLine([bin, "demo", "--port", "0"]);
for (let round = 0; round < rounds; round += 1) {
  bare.push(await firstLine(["-e", "console.log(1)"]));
  demo.push(await firstLine([bin, "demo", "--port", "0"]));
}
const ratios = demo.map((each, index) => each / (bare[index] ?? Number.NaN));
const line = { rounds, bareNodeMs: median(bare), demoReadyMs: median(demo), ratio: median(ratios) };
process.stdout.write(`${JSON.stringify(line)}\n`);

function median(all: readonly number[]): number {
  const sorted = [...all].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) * 10) / 10;
}
