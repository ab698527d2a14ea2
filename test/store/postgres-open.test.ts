import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startChaosProxy } from "../../src/testing/chaos-proxy.ts";
import { aLoginSession } from "../session/records.ts";
import { describeWithPostgres, postgresUrl } from "../support/postgres-for-tests.ts";
import { PostgresBench } from "./postgres-bench.ts";

const target = Number(new URL(postgresUrl).port || 5432);

function changed(change: (url: URL) => void): string {
  const url = new URL(postgresUrl);
  change(url);
  return url.toString();
}

await describeWithPostgres("opening a PostgreSQL store", () => {
  test("by six processes at one time makes one schema and one key", async () => {
    const bench = new PostgresBench(onTestFinished);
    const opened = await Promise.all(Array.from({ length: 6 }, () => bench.openWithKey(undefined, { maxConnections: 2 })));
    expect(new Set(opened.map(({ refreshTokenKey }) => refreshTokenKey.toString("hex"))).size).toBe(1);
    expect(new Set(opened.map(({ store }) => store.incarnation())).size).toBe(1);
    await opened[0]?.store.loginSessions.insert(aLoginSession("a"));
    expect(await opened[5]?.store.loginSessions.get(aLoginSession("a").id)).toEqual(aLoginSession("a"));
  });

  test("gives the server's clock (F25)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const { clock } = await bench.openWithKey();
    const [before] = await bench.sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now");
    const read = clock.now();
    const [after] = await bench.sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now");
    // Half of the quickest round trip is the error that is left; these two took longer.
    expect(read).toBeGreaterThan(before?.["now"] - 1_000);
    expect(read).toBeLessThan(after?.["now"] + 1_000);
  });

  test("is refused for the schema of a newer version, and for that of another program, which stay as they are", async () => {
    const bench = new PostgresBench(onTestFinished);
    await (await bench.open()).close();
    await bench.sql("INSERT INTO latchkey_migrations (version) VALUES (1000)");
    await expect(bench.open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringMatching(/written by a newer version of Latchkey \(schema 1000; this one knows \d+\): install that version/),
    });
    await bench.sql(
      `DROP SCHEMA "${bench.schema}" CASCADE; CREATE SCHEMA "${bench.schema}"; CREATE TABLE "${bench.schema}".recipes (name text)`,
    );
    await expect(bench.open()).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining('belongs to something else (it holds "recipes")'),
    });
    expect(await bench.sql(`SELECT tablename FROM pg_tables WHERE schemaname = '${bench.schema}'`)).toEqual([{ tablename: "recipes" }]);
  });

  test("works for a role that may not make the schema once it is there, and says what to run before", async () => {
    const bench = new PostgresBench(onTestFinished);
    const role = `latchkey_test_${randomBytes(6).toString("hex")}`;
    await bench.sql(`CREATE ROLE ${role} LOGIN`);
    onTestFinished(async () => {
      await bench.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    const url = changed((each) => {
      each.username = role;
    });
    await expect(bench.open(undefined, { url })).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`CREATE SCHEMA IF NOT EXISTS "${bench.schema}" AUTHORIZATION "${role}"`),
    });
    await (await bench.open()).close();
    await expect(bench.open(undefined, { url })).rejects.toMatchObject({
      code: "configuration_invalid",
      message: expect.stringContaining(`GRANT USAGE, CREATE ON SCHEMA "${bench.schema}" TO "${role}"`),
    });
    await bench.sql(
      `GRANT USAGE ON SCHEMA "${bench.schema}" TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA "${bench.schema}" TO ${role}`,
    );
    await expect(bench.open(undefined, { url })).rejects.toMatchObject({
      message: expect.stringContaining("GRANT SELECT, INSERT, UPDATE, DELETE"),
    });
    await bench.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${bench.schema}" TO ${role}`);
    const store = await bench.open(undefined, { url });
    await store.loginSessions.insert(aLoginSession("a"));
    await store.authorizationServerRecords.put({ kind: "Client", id: "c", content: "{}" });
    await store.authorizationServerRecords.put({ kind: "Client", id: "c", content: "[]" });
    expect(store.incarnation()).toMatch(/[.]\d+[.]0000/);
  });

  test("says what is wrong with the address, and never what the password is (B10)", async () => {
    const bench = new PostgresBench(onTestFinished);
    const proxy = await startChaosProxy({ target });
    onTestFinished(() => proxy.close());
    proxy.refuse();
    const password = "canary-of-the-password";
    const withPassword = (change: (url: URL) => void): string =>
      changed((url) => {
        url.password = password;
        change(url);
      });
    const cases: readonly [string, string, string][] = [
      [withPassword((url) => (url.pathname = "/no_such_database")), "configuration_invalid", "has no database no_such_database"],
      [withPassword((url) => (url.hostname = "no-such-host.invalid")), "", "no-such-host.invalid"],
      [withPassword((url) => (url.port = String(proxy.port))), "store_unavailable", "cannot be reached (ECONNREFUSED)"],
      [withPassword((url) => (url.username = "no_such_role")), "configuration_invalid", "refuses the user no_such_role"],
      [`postgres://user:${password}%zz@${new URL(postgresUrl).host}/test`, "configuration_invalid", "refuses the user user"],
      [`127.0.0.1 password=${password}`, "configuration_invalid", "must look like postgres://"],
      [`postgres://user:${password}@[127/test`, "configuration_invalid", "must look like postgres://"],
    ];
    for (const [url, code, words] of cases) {
      const error: unknown = await bench.open(undefined, { url }).catch((each: unknown) => each);
      expect(error).toMatchObject({ message: expect.stringContaining(words), ...(code === "" ? {} : { code }) });
      for (let each = error; each instanceof Error; each = each.cause) {
        expect(`${each.message} ${each.stack} ${JSON.stringify(each)}`).not.toContain(password);
      }
    }
    expect(bench.lines.join("")).not.toContain(password);
  });

  test("is refused with a wrong password, in words that do not hold it (B10)", async () => {
    const bench = new PostgresBench(onTestFinished);
    // The server of the tests asks for none: this one answers every greeting as one that does.
    const fields = Buffer.from('SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "alice"\0\0');
    const head = Buffer.from("E....");
    head.writeInt32BE(fields.length + 4, 1);
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(Buffer.concat([head, fields])));
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const url = `postgres://alice:canary-password@127.0.0.1:${port}/test`;
    const error: unknown = await bench.open(undefined, { url }).catch((each: unknown) => each);
    expect(error).toMatchObject({ code: "configuration_invalid", message: expect.stringContaining("refuses the user alice") });
    expect(String(error) + bench.lines.join("")).not.toContain("canary-password");
  });
});
