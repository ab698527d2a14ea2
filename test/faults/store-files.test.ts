import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Program } from "../support/e2e-process.ts";
import { Served } from "../support/e2e-served.ts";

test.concurrent("F37 a key file that others can read: latchkey serve refuses it, together with all other problems", async ({
  onTestFinished,
}) => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-files-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const main = { issuer: "https://login.example.com", clientId: "latchkey" };
  writeFileSync(join(folder, "latchkey.config.json"), JSON.stringify({ authorizationServers: { main }, heartbeats: {} }));
  writeFileSync(join(folder, "latchkey.db"), "These are my notes, and no database.\n");
  const keyFile = join(folder, "sealing-keys.json");
  writeFileSync(keyFile, "{}");
  chmodSync(keyFile, 0o644);
  const options = { cwd: folder, env: { LATCHKEY_DATA_DIR: folder } };
  const { code, stdout, stderr } = await Program.latchkey(onTestFinished, ["serve", "--port", "0"], options).exit;
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("3 problems");
  expect(stderr).toContain('Did you mean "heartbeat"?');
  expect(stderr).toContain("is no database of Latchkey");
  expect(stderr).toContain(`run "chmod 600 ${keyFile}"`);
});

test.concurrent("F37 no key file for a store that has one: latchkey serve refuses to go on, and says so", async ({ onTestFinished }) => {
  const served = await Served.prepare(onTestFinished);
  rmSync(join(served.folder, "sealing-keys.json"));
  const { code, stderr } = await Program.latchkey(onTestFinished, ["serve", "--port", "0"], { cwd: served.folder }).exit;
  expect(code).toBe(2);
  expect(stderr).toContain("sealing-keys.json is missing");
});
