import { startDemo } from "../composition/demo.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { commandLogger } from "./command-logger.ts";
import { announceReady, untilShutdown } from "./ready.ts";
import { type DemoOptions, demoHeartbeatIntervalSeconds } from "./run-options.ts";

const log = { level: "info", format: "auto" } as const;

/** Runs `latchkey demo` until `io.shutdown` aborts. Throws LatchkeyError `configuration_invalid` when a port is taken. */
export async function runDemo(options: DemoOptions, io: CommandIo): Promise<ExitCode> {
  const { clock } = io;
  const heartbeatIntervalSeconds = demoHeartbeatIntervalSeconds;
  const demo = await startDemo({ ...options, heartbeatIntervalSeconds, log, clock, logger: commandLogger(io, log) });
  const { server, authorizationServer, api } = demo;
  announceReady(io, { publicUrl: server.publicUrl, issuer: authorizationServer.issuer, api: api.url }, [
    "Sign in on the console with any name; the password is the name.",
    "alice and bob are signed in already: connect a client with the key lk_demo_alice or lk_demo_bob.",
  ]);
  await untilShutdown(io);
  await demo.close();
  return 0;
}
