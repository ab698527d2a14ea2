// Calls of the tool `echo` over Streamable HTTP: Latchkey, the SDK's own server (the yardstick), and bare node:http.
//   npx node bench/tools-call.ts [--slices 9] [--seconds-per-slice 1] [--connections 64] [--sockets 16]
//     [--only latchkey-json,sdk-json] [--profile DIRECTORY]
// Each server has a process of its own, and so has the load. Slices alternate; what counts is the median of the ratios
// slice by slice, and the servers' own CPU time for each request. --profile writes a CPU profile of each server.
import { parseArgs } from "node:util";
import { z } from "zod";
import { Child } from "./measuring/child.ts";
import { type Contestant, contest, standingHeadings, standingRow } from "./measuring/contest.ts";
import { print, table } from "./measuring/report.ts";

const { values } = parseArgs({
  options: {
    slices: { type: "string", default: "9" },
    "seconds-per-slice": { type: "string", default: "1" },
    connections: { type: "string", default: "64" },
    sockets: { type: "string", default: "16" },
    only: { type: "string" },
    profile: { type: "string" },
  },
});
const slices = Number(values.slices);
const milliseconds = Number(values["seconds-per-slice"]) * 1000;
const connections = Number(values.connections);
const sockets = Number(values.sockets);

const either = "application/json, text/event-stream";
const contestants = [
  { name: "raw", file: "servers/raw-http.ts", start: {}, accept: either, checked: false },
  { name: "latchkey-json", file: "servers/latchkey-http.ts", start: { users: connections }, accept: either, checked: true },
  { name: "sdk-json", file: "servers/sdk-http.ts", start: { json: true }, accept: either, checked: true },
  { name: "latchkey-sse", file: "servers/latchkey-http.ts", start: { users: connections }, accept: "text/event-stream", checked: true },
  { name: "sdk-sse", file: "servers/sdk-http.ts", start: { json: false }, accept: either, checked: true },
].filter(({ name }) => values.only === undefined || values.only.split(",").includes(name));

const generator = new Child("load/generator.ts");
const running = await Promise.all(
  contestants.map(async ({ name, file, start, accept, checked }): Promise<Contestant> => {
    const profiling = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}/${name}`];
    const server = new Child(file, { execArgv: profiling });
    const { port, keys } = await server.ask("start", start, z.object({ port: z.number(), keys: z.array(z.string()).default([]) }));
    await generator.ask("open", { target: name, port, accept, connections, keys }, z.object({}));
    const ran = z.object({ answered: z.number(), elapsedMilliseconds: z.number() });
    return {
      name,
      server,
      // The one that answers in the same way.
      yardstick: name === "latchkey-sse" ? "sdk-sse" : "sdk-json",
      load: () => generator.ask("run", { target: name, sockets, milliseconds, checked }, ran),
    };
  }),
);
const results = await contest(running, slices);
await Promise.all([...running.map(({ server }) => server.stop()), generator.stop()]);
print(
  { bench: "tools-call", node: process.version, slices, secondsPerSlice: milliseconds / 1000, connections, sockets, results },
  table(standingHeadings, results.map(standingRow)),
);
