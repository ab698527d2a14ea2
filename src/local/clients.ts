import { posix, win32 } from "node:path";

/** The MCP clients of this machine whose configuration Latchkey can write. */
export type LocalClientName = "claude-desktop" | "claude-code" | "cursor" | "vscode";

/** What is particular about one client's configuration file. */
export interface LocalClient {
  readonly name: LocalClientName;
  /** As people know it. */
  readonly title: string;
  /** The key under which the file has its servers. */
  readonly section: "mcpServers" | "servers";
  /** Whether it reads comments and commas before a closing bracket. */
  readonly readsComments: boolean;
  /** Whether each entry says that it is a program: `"type": "stdio"`. */
  readonly namesType: boolean;
  /** What makes it read the file again. */
  readonly reload: string;
}

export const localClients: Readonly<Record<LocalClientName, LocalClient>> = {
  "claude-desktop": {
    name: "claude-desktop",
    title: "Claude Desktop",
    section: "mcpServers",
    readsComments: false,
    namesType: false,
    reload: "Quit Claude Desktop and start it again.",
  },
  "claude-code": {
    name: "claude-code",
    title: "Claude Code",
    section: "mcpServers",
    readsComments: false,
    namesType: true,
    reload: "Start Claude Code again, and see /mcp.",
  },
  cursor: {
    name: "cursor",
    title: "Cursor",
    section: "mcpServers",
    readsComments: true,
    namesType: false,
    reload: "Switch the server on in Cursor's settings, under MCP.",
  },
  vscode: {
    name: "vscode",
    title: "VS Code",
    section: "servers",
    readsComments: true,
    namesType: true,
    reload: 'Run "MCP: List Servers" in VS Code and start it.',
  },
};

/** What the place of a client's file depends on. */
export interface ClientSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  /** As Node names it: "linux", "darwin", "win32". */
  readonly platform: string;
}

/** The absolute path of the file in which a client has the servers of its user, in all projects. */
export function clientFile(name: LocalClientName, surroundings: ClientSurroundings): string {
  const { env, homeDirectory, platform } = surroundings;
  const { isAbsolute, join } = platform === "win32" ? win32 : posix;
  switch (name) {
    case "claude-desktop":
      return join(applicationData(surroundings), "Claude", "claude_desktop_config.json");
    case "claude-code": {
      const own = env["CLAUDE_CONFIG_DIR"];
      return join(own !== undefined && isAbsolute(own) ? own : homeDirectory, ".claude.json");
    }
    case "cursor":
      return join(homeDirectory, ".cursor", "mcp.json");
    case "vscode":
      return join(applicationData(surroundings), "Code", "User", "mcp.json");
  }
}

/** Where Electron keeps the data of applications. */
function applicationData({ env, homeDirectory, platform }: ClientSurroundings): string {
  const { isAbsolute, join } = platform === "win32" ? win32 : posix;
  const from = (variable: string, otherwise: string): string => {
    const value = env[variable];
    return value !== undefined && isAbsolute(value) ? value : otherwise;
  };
  switch (platform) {
    case "win32":
      return from("APPDATA", join(homeDirectory, "AppData", "Roaming"));
    case "darwin":
      return join(homeDirectory, "Library", "Application Support");
    default:
      return from("XDG_CONFIG_HOME", join(homeDirectory, ".config"));
  }
}
