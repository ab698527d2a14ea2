import { systemClock } from "../../src/clock.ts";
import { serveStdio } from "../../src/transport/stdio.ts";
import { McpBench } from "./mcp-bench.ts";

/** A process that serves alice's connection on stdin and stdout. It ends by itself when stdin ends. */
const bench = new McpBench();
const loginSessionId = await bench.signIn("alice");
await serveStdio({ input: process.stdin, output: process.stdout, registry: bench.registry, loginSessionId, clock: systemClock });
bench.registry.close();
