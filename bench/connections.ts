// What an open, idle MCP connection over Streamable HTTP costs in memory, and whether calls leave something behind:
// Latchkey and the SDK's own server (the yardstick).
//   npx node bench/connections.ts [--connections 1000] [--calls 20000]
// Memory is looked at after a garbage collection. Exit code 1: calls on one connection make Latchkey's heap grow.
import { parseArgs } from "node:util";
import { z } from "zod";
import { Child } from "./measuring/child.ts";
import { print, rounded, table } from "./measuring/report.ts";

const { values } = parseArgs({
  options: { connections: { type: "string", default: "1000" }, calls: { type: "string", default: "20000" } },
});
const connections = Number(values.connections);
const calls = Number(values.calls);
/** As many are opened, and as many calls made, before anything counts: code and caches grow at first. */
const warmUpConnections = 200;
const warmUpCalls = 10_000;
/** A heap is never quite the same twice. A leak of one small object a call is clearly more. */
const leakBytesPerCall = 16;
const users = 10;

const contestants = [
  { name: "latchkey", file: "servers/latchkey-http.ts", start: { users } },
  { name: "sdk", file: "servers/sdk-http.ts", start: { json: true } },
];

const results = [];
for (const contestant of contestants) results.push(await measure(contestant));
print(
  { bench: "connections", node: process.version, connections, calls, results },
  table(
    ["server", "heap bytes/connection", "resident", "heap with stream", "resident", "opened/s", "heap bytes left by a call"],
    results.map((each) => [
      each.server,
      each.heapBytes,
      each.residentBytes,
      each.heapBytesWithStream,
      each.residentBytesWithStream,
      each.openedPerSecond,
      each.heapBytesPerCall,
    ]),
  ),
);
if (results.some(({ server, heapBytesPerCall }) => server === "latchkey" && heapBytesPerCall > leakBytesPerCall)) process.exitCode = 1;

type Contestant = (typeof contestants)[number];
type Ask = (question: string, body: object) => Promise<object>;

async function measure(contestant: Contestant) {
  // Apart: what calls leave behind would be taken for the connections'.
  return { server: contestant.name, ...(await withServer(contestant, costOfConnections)), ...(await withServer(contestant, costOfCalls)) };
}

async function costOfConnections(server: Child, ask: Ask) {
  await ask("open", { target: "warm-up", connections: warmUpConnections });
  const empty = await server.usage(true);
  const begun = performance.now();
  await ask("open", { target: "idle", connections });
  const openedMilliseconds = performance.now() - begun;
  const idle = await server.usage(true);
  await ask("stream", { target: "idle" });
  const streaming = await server.usage(true);
  const each = (before: number, after: number): number => rounded((after - before) / connections, 0);
  return {
    heapBytes: each(empty.heapBytes, idle.heapBytes),
    residentBytes: each(empty.residentBytes, idle.residentBytes),
    heapBytesWithStream: each(empty.heapBytes, streaming.heapBytes),
    residentBytesWithStream: each(empty.residentBytes, streaming.residentBytes),
    openedPerSecond: rounded((connections / openedMilliseconds) * 1000, 0),
  };
}

async function costOfCalls(server: Child, ask: Ask) {
  const call = (count: number): Promise<object> =>
    ask("run", { target: "one", sockets: 1, milliseconds: 600_000, calls: count, checked: true });
  await ask("open", { target: "one", connections: 1 });
  await call(warmUpCalls);
  const before = await server.usage(true);
  await call(calls);
  const after = await server.usage(true);
  return { heapBytesPerCall: rounded((after.heapBytes - before.heapBytes) / calls, 1) };
}

/** Runs `measuring` with a new server and a new generator, which is told where the server is with each question. */
async function withServer<T>({ file, start }: Contestant, measuring: (server: Child, ask: Ask) => Promise<T>): Promise<T> {
  const server = new Child(file, { execArgv: ["--expose-gc"] });
  const generator = new Child("load/generator.ts");
  const { port, keys } = await server.ask("start", start, z.object({ port: z.number(), keys: z.array(z.string()).default([]) }));
  const accept = "application/json, text/event-stream";
  const measured = await measuring(server, (question, body) => generator.ask(question, { port, keys, accept, ...body }, z.object({})));
  await Promise.all([server.stop(), generator.stop()]);
  return measured;
}
