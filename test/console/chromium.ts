import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const executablePath = "/usr/bin/chromium";

/** Why the browser's tests cannot run here; undefined: they can. Where CI is set they must. */
export const noChromium = existsSync(executablePath) || process.env.CI === "true" ? undefined : `${executablePath} is not installed`;

export function launchChromium(): Promise<Browser> {
  const quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  return chromium.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-gpu", ...quiet] });
}
