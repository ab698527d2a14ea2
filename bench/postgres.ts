// What the PostgreSQL store takes for a commit and for a read of a login session, sealed. The yardstick is the plainest
// use of the same driver, server and number of connections: upserts and reads of the record as plain JSON.
//   npx node bench/postgres.ts [--slices 9] [--login-sessions 1000] [--at-once 64] [--connections 10] [--url postgres://…]

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Pool } from "pg";
import { silentAudit } from "../src/audit/audit.ts";
import { systemClock } from "../src/clock.ts";
import { openPostgresStore } from "../src/store/postgres/postgres-store.ts";
import { aRecord, inLanes, rate } from "./measuring/login-sessions.ts";
import { median, medianRatio, print, rounded, table } from "./measuring/report.ts";
import { logger } from "./servers/latchkey-core.ts";

const { values } = parseArgs({
  options: {
    slices: { type: "string", default: "9" },
    "login-sessions": { type: "string", default: "1000" },
    "at-once": { type: "string", default: "64" },
    connections: { type: "string", default: "10" },
    url: { type: "string", default: "postgres://postgres@127.0.0.1:5432/test" },
  },
});
const slices = Number(values.slices);
const loginSessions = Number(values["login-sessions"]);
const atOnce = Number(values["at-once"]);

const folder = mkdtempSync(join(tmpdir(), "latchkey-bench-"));
const schema = `latchkey_bench_${randomBytes(6).toString("hex")}`;
const maxConnections = Number(values.connections);
const { store } = await openPostgresStore({
  url: values.url,
  schema,
  maxConnections,
  keys: [{ id: "bench", secret: randomBytes(32).toString("base64url") }],
  journalDirectory: join(folder, "replies"),
  clock: systemClock,
  logger,
  audit: silentAudit,
});
const bare = new Pool({ connectionString: values.url, max: maxConnections });
await bare.query(`CREATE TABLE ${schema}.bare (id text PRIMARY KEY, version integer, json text)`);
const upsert = `INSERT INTO ${schema}.bare VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET version = excluded.version, json = excluded.json`;

let records = Array.from({ length: loginSessions }, (_, index) => aRecord(index));
await inLanes(records, atOnce, (record) => bare.query(upsert, [record.id, record.version, JSON.stringify(record)]));
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
  const bareCommits = await rate(loginSessions, () =>
    inLanes(records, atOnce, (record) => bare.query(upsert, [record.id, record.version, JSON.stringify(record)])),
  );
  const reads = await rate(loginSessions, () => inLanes(records, atOnce, (record) => store.loginSessions.get(record.id)));
  const bareReads = await rate(loginSessions, () =>
    inLanes(records, atOnce, async (record) => {
      const { rows } = await bare.query<{ readonly json: string }>(`SELECT json FROM ${schema}.bare WHERE id = $1`, [record.id]);
      JSON.parse(rows[0]?.json ?? "");
    }),
  );
  // The first warms up.
  if (slice >= 0) series.push({ commits, bareCommits, reads, bareReads });
}
await store.close();
await bare.query(`DROP SCHEMA ${schema} CASCADE`);
await bare.end();
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
  { bench: "postgres", node: process.version, slices, loginSessions, atOnce, maxConnections, ...result },
  table(
    ["", "Latchkey, sealed", "pg, plain upserts", "ratio"],
    [
      ["commits/s", result.commitsPerSecond, result.bareCommitsPerSecond, result.commitRatio],
      ["reads/s", result.readsPerSecond, result.bareReadsPerSecond, result.readRatio],
    ],
  ),
);
