import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startFaultServer } from "../../src/testing/index.ts";
import { mustString, parseFields } from "../support/e2e-json.ts";
import { Program } from "../support/e2e-process.ts";
import { eventually } from "../support/e2e-wait.ts";
import { Hold } from "../support/token-bench.ts";
import { countIn } from "./ledger-counts.ts";
import { holds } from "./presentation-faults.ts";

const secret = "import-secret-of-the-backend-0123456789";

test("F30 SIGTERM during a refresh: the refresh is committed first, then it exits with 0", async ({ onTestFinished }) => {
  const server = await startFaultServer({ behaviours: [{ kind: "access_token_life", seconds: 2 }] });
  onTestFinished(() => server.close());
  const folder = await mkdtemp(join(tmpdir(), "latchkey-faults-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = {
    authorizationServers: { main: { issuer: server.issuer, clientId: "client" } },
    import: { secret },
    store: { type: "memory" },
  };
  await writeFile(join(folder, "latchkey.config.json"), JSON.stringify(config));
  const serve = Program.latchkey(onTestFinished, ["serve", "--port", "0"], { cwd: folder });
  const url = mustString(parseFields((await serve.says(/^\{.*\}$/m))[0]), "url");
  const login = await server.issue({ subject: "alice" });
  const response = await fetch(`${url}/api/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ id_token: login.idToken, refresh_token: login.refreshToken }),
  });
  expect(response.status).toBe(201);
  const hold = new Hold();
  server.set(holds(hold, "reply"));
  await eventually("the heartbeat has presented", () => hold.size === 1);
  const committed = (): number => serve.stderr.split("refresh_committed").length;
  const before = committed();
  serve.child.kill("SIGTERM");
  await eventually("it takes nothing new", () =>
    fetch(`${url}/health/live`).then(
      () => false,
      () => true,
    ),
  );
  expect(serve.child.exitCode).toBeNull();
  expect(committed()).toBe(before);
  hold.open();
  expect((await serve.exit).code).toBe(0);
  expect(committed()).toBeGreaterThan(before);
  expect(countIn(server.ledger, "rotated")).toBe(countIn(server.ledger, "presented"));
});
