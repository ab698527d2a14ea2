import { Client } from "pg";
import { describe, test } from "vitest";

/** The database of the tests. Each test makes a schema of its own in it and removes it. */
export const postgresUrl = hasty(process.env["LATCHKEY_TEST_POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/test");

/** Undefined: the tests can use it. Else why not. */
async function postgresProblem(): Promise<string | undefined> {
  const client = new Client({ connectionString: postgresUrl, connectionTimeoutMillis: 3_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return undefined;
  } catch (error) {
    const { host, port } = client;
    return `no PostgreSQL at ${host}:${port} (${error instanceof Error ? error.message : "unknown reason"})`;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Tests that need PostgreSQL. Without one they say why they did not run; in CI that is a failure. */
export async function describeWithPostgres(name: string, define: () => void): Promise<void> {
  const problem = await postgresProblem();
  if (problem === undefined) describe(name, define);
  else
    test(name, ({ skip }) => {
      if (process.env["CI"] === "true") throw new Error(`There is ${problem}.`);
      skip(problem);
    });
}

/** Nothing of a test must outlive a loss of power: its commits need not wait for the disk. */
function hasty(address: string): string {
  const url = new URL(address);
  url.searchParams.set("options", "-csynchronous_commit=off");
  return url.toString();
}
