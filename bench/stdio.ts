// Calls of the tool `echo` over stdio, many in flight: Latchkey, the SDK's own server (the yardstick), and a process
// that gives each line back.
//   npx node bench/stdio.ts [--slices 9] [--seconds-per-slice 1] [--in-flight 256] [--profile DIRECTORY]
import { parseArgs } from "node:util";
import { z } from "zod";
import { callEcho, initialize, Lines } from "./load/lines.ts";
import { Child } from "./measuring/child.ts";
import { type Contestant, contest, standingHeadings, standingRow } from "./measuring/contest.ts";
import { print, table } from "./measuring/report.ts";

const { values } = parseArgs({
  options: {
    slices: { type: "string", default: "9" },
    "seconds-per-slice": { type: "string", default: "1" },
    "in-flight": { type: "string", default: "256" },
    profile: { type: "string" },
  },
});
const slices = Number(values.slices);
const milliseconds = Number(values["seconds-per-slice"]) * 1000;
const inFlight = Number(values["in-flight"]);

const contestants = await Promise.all(
  ["raw", "latchkey", "sdk"].map(async (name): Promise<Contestant> => {
    const execArgv = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}/${name}`];
    const server = new Child(`servers/${name}-stdio.ts`, { piped: true, execArgv });
    await server.ask("start", {}, z.object({}));
    const lines = new Lines(server.stdout, server.stdin);
    await initialize(lines);
    return {
      name,
      server,
      yardstick: "sdk",
      load: async () => {
        const begun = performance.now();
        const answered = await callEcho(lines, inFlight, milliseconds);
        return { answered, elapsedMilliseconds: performance.now() - begun };
      },
    };
  }),
);
const results = await contest(contestants, slices);
for (const { server } of contestants) await server.stop();
print(
  { bench: "stdio", node: process.version, slices, secondsPerSlice: milliseconds / 1000, inFlight, results },
  table(standingHeadings, results.map(standingRow)),
);
