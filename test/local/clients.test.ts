import { describe, expect, test } from "vitest";
import { clientFile, type LocalClientName } from "../../src/local/clients.ts";

describe("the place of a client's file", () => {
  const unix = { env: {}, homeDirectory: "/home/ada" };
  const mac = { env: {}, homeDirectory: "/Users/ada", platform: "darwin" };
  const windows = { env: { APPDATA: "D:\\Roaming" }, homeDirectory: "C:\\Users\\ada", platform: "win32" };

  test.each<[LocalClientName, string, string, string]>([
    [
      "claude-desktop",
      "/Users/ada/Library/Application Support/Claude/claude_desktop_config.json",
      "D:\\Roaming\\Claude\\claude_desktop_config.json",
      "/home/ada/.config/Claude/claude_desktop_config.json",
    ],
    ["claude-code", "/Users/ada/.claude.json", "C:\\Users\\ada\\.claude.json", "/home/ada/.claude.json"],
    ["cursor", "/Users/ada/.cursor/mcp.json", "C:\\Users\\ada\\.cursor\\mcp.json", "/home/ada/.cursor/mcp.json"],
    [
      "vscode",
      "/Users/ada/Library/Application Support/Code/User/mcp.json",
      "D:\\Roaming\\Code\\User\\mcp.json",
      "/home/ada/.config/Code/User/mcp.json",
    ],
  ])("of %s is known on macOS, Windows and Linux", (name, onMac, onWindows, onLinux) => {
    expect(clientFile(name, mac)).toBe(onMac);
    expect(clientFile(name, windows)).toBe(onWindows);
    expect(clientFile(name, { ...unix, platform: "linux" })).toBe(onLinux);
  });

  test("follows the variables of the platform and the client, if they are absolute", () => {
    const env = { XDG_CONFIG_HOME: "/etc/ada", CLAUDE_CONFIG_DIR: "/srv/claude" };
    expect(clientFile("vscode", { ...unix, env, platform: "linux" })).toBe("/etc/ada/Code/User/mcp.json");
    expect(clientFile("claude-code", { ...unix, env, platform: "linux" })).toBe("/srv/claude/.claude.json");
    const relative = { XDG_CONFIG_HOME: "here", CLAUDE_CONFIG_DIR: "there" };
    expect(clientFile("vscode", { ...unix, env: relative, platform: "linux" })).toBe("/home/ada/.config/Code/User/mcp.json");
    expect(clientFile("claude-code", { ...unix, env: relative, platform: "linux" })).toBe("/home/ada/.claude.json");
    expect(clientFile("vscode", { ...windows, env: {} })).toBe("C:\\Users\\ada\\AppData\\Roaming\\Code\\User\\mcp.json");
  });
});
