import { LatchkeyError } from "../errors.ts";
import type { Tool, ToolTable } from "./tool.ts";

/** A tool's name in MCP: 1 to 128 letters, digits, "_", "-", ".". */
export const toolNamePattern = /^[A-Za-z0-9_.-]{1,128}$/;

/**
 * All tools of a server, in the order given. Throws LatchkeyError `configuration_invalid` with all problems at once:
 * a name that MCP does not allow, or that two tools share (the session tools' names are taken).
 */
export function createToolTable(tools: readonly Tool[]): ToolTable {
  const problems: string[] = [];
  const table = new Map<string, Tool>();
  for (const tool of tools) {
    if (!toolNamePattern.test(tool.name))
      problems.push(`the tool name ${JSON.stringify(tool.name)} is not allowed: use 1 to 128 letters, digits, "_", "-" and "."`);
    if (table.has(tool.name)) problems.push(`two tools are named "${tool.name}"`);
    table.set(tool.name, tool);
  }
  if (problems.length > 0) throw new LatchkeyError("configuration_invalid", problems.join("\n"), { details: { problems } });
  return table;
}
