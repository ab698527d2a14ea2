// Every long run in full: what CI shortens to a minute lasts `--minutes` here.
//   npm run accept -- [--minutes 10]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const run = spawnSync(process.execPath, [vitest, "run", "--project", "long"], {
  stdio: "inherit",
  env: { ...process.env, LATCHKEY_SOAK_MINUTES: values.minutes, LATCHKEY_KILLS: "100", LATCHKEY_SIMULATED_USER_HOURS: "100000" },
});
process.exitCode = run.status ?? 1;
