// What the SQLite store takes for a commit and for a read of a login session, sealed. The yardstick is what one writes
// first: node:sqlite on the same disk with the same durability, the record as plain JSON, each write by itself.
//   npx node bench/store.ts [--slices 9] [--login-sessions 1000] [--at-once 64]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { silentAudit } from "../src/audit/audit.ts";
import { systemClock } from "../src/clock.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import { aRecord, inLanes, rate } from "./measuring/login-sessions.ts";
import { median, medianRatio, print, rounded, table } from "./measuring/report.ts";
import { logger } from "./servers/latchkey-core.ts";

const { values } = parseArgs({
  options: {
    slices: { type: "string", default: "9" },
    "login-sessions": { type: "string", default: "1000" },
    "at-once": { type: "string", default: "64" },
  },
});
const slices = Number(values.slices);
const loginSessions = Number(values["login-sessions"]);
const atOnce = Number(values["at-once"]);

const folder = mkdtempSync(join(tmpdir(), "latchkey-bench-"));
const file = join(folder, "latchkey.db");
const { store } = await openSqliteStore({ file, keys: [], clock: systemClock, logger, audit: silentAudit });
const bare = new DatabaseSync(join(folder, "bare.db"));
bare.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE records (id TEXT PRIMARY KEY, version INTEGER, json TEXT)");
const bareInsert = bare.prepare("INSERT INTO records VALUES (?, ?, ?)");
const bareCommit = bare.prepare("UPDATE records SET version = ?, json = ? WHERE id = ? AND version = ?");
const bareRead = bare.prepare("SELECT json FROM records WHERE id = ?");

let records = Array.from({ length: loginSessions }, (_, index) => aRecord(index));
for (const record of records) bareInsert.run(record.id, record.version, JSON.stringify(record));
await inLanes(records, atOnce, (record) => store.loginSessions.insert(record));

interface Figures {
  readonly commits: number;
  readonly bareCommits: number;
  readonly reads: number;
  readonly bareReads: number;
}
const series: Figures[] = [];
for (let slice = -1; slice < slices; slice += 1) {
  records = records.map((record) => ({ ...record, version: record.version + 1, generation: record.generation + 1 }));
  const commits = await rate(loginSessions, () =>
    inLanes(records, atOnce, async (record) => {
      if (!(await store.loginSessions.commit(record)).committed) throw new Error("a commit was refused");
    }),
  );
  const bareCommits = await rate(loginSessions, async () => {
    for (const record of records) bareCommit.run(record.version, JSON.stringify(record), record.id, record.version - 1);
  });
  const reads = await rate(loginSessions, () => inLanes(records, atOnce, (record) => store.loginSessions.get(record.id)));
  const bareReads = await rate(loginSessions, async () => {
    for (const record of records) JSON.parse(String(bareRead.get(record.id)?.["json"]));
  });
  // The first warms up.
  if (slice >= 0) series.push({ commits, bareCommits, reads, bareReads });
}
await store.close();
bare.close();
rmSync(folder, { recursive: true });

const of = (name: keyof Figures): readonly number[] => series.map((figures) => figures[name]);
const result = {
  commitsPerSecond: rounded(median(of("commits")), 0),
  bareCommitsPerSecond: rounded(median(of("bareCommits")), 0),
  commitRatio: rounded(medianRatio(of("commits"), of("bareCommits"))),
  readsPerSecond: rounded(median(of("reads")), 0),
  bareReadsPerSecond: rounded(median(of("bareReads")), 0),
  readRatio: rounded(medianRatio(of("reads"), of("bareReads"))),
};
print(
  { bench: "store", node: process.version, slices, loginSessions, atOnce, ...result },
  table(
    ["", "Latchkey, sealed", "node:sqlite, plain", "ratio"],
    [
      ["commits/s", result.commitsPerSecond, result.bareCommitsPerSecond, result.commitRatio],
      ["reads/s", result.readsPerSecond, result.bareReadsPerSecond, result.readRatio],
    ],
  ),
);
