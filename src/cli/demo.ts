import { join, resolve } from "node:path";
import { findRefreshRoomProblem } from "../config/refresh-room.ts";
import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, type ParsedOptions, parseOptions } from "./options.ts";
import { type DemoOptions, demoHeartbeatIntervalSeconds } from "./run-options.ts";
import { refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  port: {
    placeholder: "N",
    description: "Port of the server; the authorization server and the API take the next two. 0 takes free ports. Default: 8420.",
    integer: { min: 0, max: 65_533 },
  },
  "access-token-seconds": {
    placeholder: "N",
    description: "How long access tokens live. Default: 30.",
    integer: { min: 5, max: 86_400 },
  },
  "refresh-token-seconds": {
    placeholder: "N",
    description: "How long a refresh token lives when it is not used. Default: 600.",
    integer: { min: 5, max: 31_536_000 },
  },
  "state-dir": {
    placeholder: "DIR",
    description: "Where the demo keeps its logins over a restart. Default: ~/.local/state/latchkey/demo-PORT; with --port 0 nowhere.",
  },
};

const help = `latchkey demo: everything in one process, with nothing to configure.

The server, an authorization server, a sample API, and the users alice and bob, who are signed in
from the start. When it is ready it writes one line of JSON to stdout. It listens on 127.0.0.1 only.

Usage: latchkey demo [options]

${optionsHelp(specs)}

Example:
  latchkey demo --port 9000 --access-token-seconds 20`;

export const demoCommand: Command = { name: "demo", summary: "Everything in one process, nothing to configure.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  const options = demoOptions(parsed, io);
  const room = parsed.problems.length > 0 ? undefined : roomProblem(options);
  const problems = room === undefined ? parsed.problems : [`${room}.`];
  if (problems.length > 0) return refuseUsage("demo", problems, io);
  const { runDemo } = await import("./run-demo.ts");
  return runDemo(options, io);
}

function demoOptions(parsed: ParsedOptions, io: CommandIo): DemoOptions {
  const port = parsed.integer("port") ?? 8420;
  const given = parsed.text("state-dir");
  return {
    port,
    accessTokenSeconds: parsed.integer("access-token-seconds") ?? 30,
    refreshTokenSeconds: parsed.integer("refresh-token-seconds") ?? 600,
    stateDirectory: given === undefined ? defaultStateDirectory(port, io) : resolve(io.cwd, given),
  };
}

/** A folder per port (XDG Base Directory: state). Free ports are others at each start, and so is the issuer: nothing to keep. */
function defaultStateDirectory(port: number, { env, homeDirectory }: CommandIo): string | undefined {
  if (port === 0) return undefined;
  const xdg = env["XDG_STATE_HOME"];
  // The specification: a relative path is to be ignored.
  const base = xdg?.startsWith("/") ? xdg : join(homeDirectory, ".local", "state");
  return join(base, "latchkey", `demo-${port}`);
}

function roomProblem(options: DemoOptions): string | undefined {
  return findRefreshRoomProblem(
    {
      accessTokenLifetimeSeconds: options.accessTokenSeconds,
      refreshTokenLifetimeSeconds: options.refreshTokenSeconds,
      intervalSeconds: demoHeartbeatIntervalSeconds,
    },
    { refreshTokenLifetime: "--refresh-token-seconds", timeout: undefined, interval: "the heartbeat's interval" },
  );
}
