import { spawnSync } from "node:child_process";

/** What Debian's faketime says about its library; undefined: it is not installed. */
const preload = spawnSync("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"], { encoding: "utf8" }).stdout?.trim() || undefined;

/** Why tests with a shifted clock cannot run here. On the machine that checks changes that is a failure, not a skip. */
export const withoutFakeTime: string | undefined =
  preload === undefined && process.env["CI"] !== "true" ? "faketime is not installed" : undefined;

/** The environment of a process whose clock is off by this, such as "+1h". Its timers run as ever. Throws without faketime. */
export function clockOff(offset: string): Readonly<Record<string, string>> {
  if (preload === undefined) throw new Error("faketime is missing: apt-get install faketime");
  return { LD_PRELOAD: preload, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" };
}
