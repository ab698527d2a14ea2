import type { Command, CommandIo, ExitCode } from "./command.ts";
import { type OptionSpecs, optionsHelp, parseOptions } from "./options.ts";
import { refuseConfiguration, refuseUsage, showHelp } from "./usage.ts";

const specs: OptionSpecs = {
  config: { placeholder: "FILE", description: "The configuration. Default: latchkey.config.json." },
  port: {
    placeholder: "N",
    description: "The port to listen on, instead of server.port; 0 takes a free one.",
    integer: { min: 0, max: 65_535 },
  },
  host: { placeholder: "H", description: "The address to listen on, instead of server.host." },
};

const help = `latchkey serve: the HTTP server, with MCP over Streamable HTTP and SSE, the console and the API.

When it is ready it writes one line of JSON to stdout. A wrong configuration is refused with all its
problems at once. SIGTERM and SIGINT let running calls end, then stop it.

Usage: latchkey serve [options]

${optionsHelp(specs)}

Example:
  latchkey serve --config /etc/latchkey/latchkey.config.json --port 8420`;

export const serveCommand: Command = { name: "serve", summary: "The HTTP server.", help, run };

async function run(io: CommandIo): Promise<ExitCode> {
  const parsed = parseOptions(io.args, specs);
  if (parsed.flag("help")) return showHelp({ help }, io);
  if (parsed.problems.length > 0) return refuseUsage("serve", parsed.problems, io);
  const { loadConfigFor } = await import("./load-config.ts");
  const loaded = loadConfigFor(io, parsed.text("config"), {
    server: { host: parsed.text("host"), port: parsed.integer("port") },
    forUse: true,
  });
  if (!loaded.ok) return refuseConfiguration("serve", loaded.problems, io);
  const { runServe } = await import("./run-serve.ts");
  return runServe({ config: loaded.config }, io);
}
