import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Program } from "../support/e2e-process.ts";
import { eventually } from "../support/e2e-wait.ts";
import { Fleet } from "./fleet.ts";
import { sharedStoreKinds } from "./shared-stores.ts";

const sqlite = sharedStoreKinds.find(({ name }) => name === "sqlite");

describe("a store that was put back from a backup", () => {
  test.for(["by itself", "because it is told"])(
    "F48 of two rotations ago is noticed %s: no spent refresh token is presented, and a login that was not refreshed since goes on",
    async (how, { onTestFinished }) => {
      if (sqlite === undefined) throw new Error("There is no SQLite.");
      const fleet = await Fleet.start(onTestFinished, sqlite, { replicas: 1, accessTokenSeconds: 10 });
      const [one] = fleet.replicas;
      if (one === undefined) throw new Error("There is no replica.");
      const [alice, late] = [await fleet.signIn("alice", one), await fleet.signIn("late", one)];
      const { ledger } = fleet.server;
      const refreshesOf = (family: string) =>
        ledger.refreshes.filter((entry) => entry.family === family && entry.outcome === "rotated").length;
      // "late" is not refreshed from here on, as if its tokens lived longer.
      fleet.server.set({ kind: "unavailable", status: 503 }, { subject: "late", target: "refresh" });
      await one.stop();
      const file = join(fleet.folder, "latchkey.db");
      const backup = join(fleet.folder, "backup.db");
      copyFileSync(file, backup);
      const before = refreshesOf(alice.family);
      await one.start();
      await eventually("alice was refreshed twice", () => refreshesOf(alice.family) >= before + 2, 40_000);
      await one.stop();
      for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
      copyFileSync(backup, file);
      if (how !== "by itself") {
        rmSync(join(`${file}.replies`, "newest-change"), { force: true });
        const told = Program.latchkey(onTestFinished, ["store", "restored"], { cwd: fleet.folder });
        expect(await told.exit).toMatchObject({ code: 0, stdout: expect.stringContaining("need a sign-in") });
      }
      fleet.server.clear();
      fleet.server.set({ kind: "access_token_life", seconds: 10 });
      const presented = refreshesOf(alice.family);
      await one.start();
      await fleet.sessionWhen(alice, "given up", ({ state, reason }) => state === "login_required" && reason === "lost_reply");
      await fleet.sessionWhen(late, "live and refreshed", () => refreshesOf(late.family) > 1);
      expect(await one.me(late)).toMatchObject({ kind: "answer", structured: { sub: "late" } });
      expect(refreshesOf(alice.family)).toBe(presented);
      expect(ledger.refreshes.filter(({ presentedAs }) => presentedAs === "consumed")).toEqual([]);
      expect(ledger.reuseEvents).toEqual([]);
    },
  );
});
