import { spawn } from "node:child_process";

/**
 * Shows an address in the user's browser, as the platform does it; no shell reads the address. False: there is no way to, as far
 * as it can be seen at once. Whether a window came up, nobody knows.
 */
export function openBrowser(address: string, platform: string): Promise<boolean> {
  const [command, ...args] = openerOf(platform);
  return new Promise((resolve) => {
    const opener = spawn(command, [...args, address], { detached: true, stdio: "ignore" });
    opener.once("error", () => resolve(false));
    opener.once("spawn", () => {
      opener.unref();
      resolve(true);
    });
  });
}

function openerOf(platform: string): readonly [string, ...string[]] {
  switch (platform) {
    case "darwin":
      return ["open"];
    case "win32":
      return ["rundll32", "url.dll,FileProtocolHandler"];
    default:
      return ["xdg-open"];
  }
}
