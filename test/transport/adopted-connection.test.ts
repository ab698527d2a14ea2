import { describe, expect, onTestFinished, test } from "vitest";
import { silentAudit } from "../../src/audit/audit.ts";
import { LatchkeyError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import type { ServerFactory } from "../../src/mcp/server-factory.ts";
import { createServerFactory } from "../../src/mcp/server-factory.ts";
import type { LoginSession } from "../../src/session/login-session.ts";
import { LoginSessions } from "../../src/session/login-sessions.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { createToolTable } from "../../src/tool/tool-table.ts";
import { Connection } from "../../src/transport/connection.ts";
import { ConnectionRegistry } from "../../src/transport/connection-registry.ts";
import { aLoginSession, inState } from "../session/records.ts";
import { ManualClock } from "../support/manual-clock.ts";

const alice = aLoginSession("a");
const aliceAgain = aLoginSession("b");
const bob = aLoginSession("c", { principal: { ...alice.principal, subject: "bob" } });

describe("the connection of a profile", () => {
  test("has no login session before the first is adopted, and says so", async () => {
    const { connection } = await make();
    expect(connection.binding).toBeUndefined();
    expect(() => connection.login).toThrow(expect.objectContaining({ code: "login_required" }));
    expect(connection.clients()).toEqual([]);
  });

  test("moves to a new login session of the same user, is followed there, and is counted once (I16)", async () => {
    const { connection, registry, sessions } = await make(alice, aliceAgain);
    expect(await registry.adopt(connection, alice.id)).toBe(true);
    expect(await registry.adopt(connection, alice.id)).toBe(true);
    await sessions.commit(alice, inState(alice, "ended"));
    expect(connection.isOpen).toBe(true);
    expect(await registry.adopt(connection, aliceAgain.id)).toBe(true);
    expect(connection.login.current()).toEqual(aliceAgain);
    expect([registry.countByLoginSession(alice.id), registry.countByLoginSession(aliceAgain.id), registry.size]).toEqual([0, 1, 1]);
    expect(sessions.watchedCount).toBe(1);
    connection.close("client");
    expect(registry.sizes()).toMatchObject({ connections: 0, loginSessions: 0, scheduled: 0 });
    expect(sessions.watchedCount).toBe(0);
  });

  test("never becomes another user's, and stays as it was (B2)", async () => {
    const { connection, registry, sessions } = await make(alice, bob);
    await registry.adopt(connection, alice.id);
    await expect(registry.adopt(connection, bob.id)).rejects.toMatchObject({ code: "forbidden" });
    expect(connection.login.id).toBe(alice.id);
    await sessions.commit(alice, inState(alice, "ended"));
    await expect(registry.adopt(connection, bob.id)).rejects.toMatchObject({ code: "forbidden" });
    expect([registry.countByLoginSession(bob.id), sessions.watchedCount]).toEqual([0, 1]);
  });

  test("is not bound to a login session that has ended or is gone, nor once it is closed (R3)", async () => {
    const ended = inState(aliceAgain, "ended");
    const { connection, registry, sessions } = await make(alice, ended);
    expect(await registry.adopt(connection, ended.id)).toBe(false);
    expect(await registry.adopt(connection, bob.id)).toBe(false);
    connection.close("client");
    expect(await registry.adopt(connection, alice.id)).toBe(false);
    expect([registry.size, sessions.watchedCount]).toEqual([0, 0]);
  });
});

async function make(...records: readonly LoginSession[]) {
  const clock = new ManualClock();
  const store = new MemoryStore(() => clock.now());
  for (const record of records) await store.loginSessions.insert(record);
  const sessions = new LoginSessions(store.loginSessions, silentLogger);
  const servers = anyServers();
  const registry = new ConnectionRegistry({ loginSessions: sessions, servers, clock, logger: silentLogger, audit: silentAudit });
  const connection = new Connection({
    transport: "stdio",
    login: undefined,
    credential: undefined,
    survivesEnd: true,
    makeWire: () => ({
      holdsStream: true,
      send: () => true,
      drop: () => {},
      keepAlive: () => {},
      endStreams: () => {},
      close: () => {},
    }),
    servers,
    clock,
    clients: (id) => registry.clientsOf(id),
    onClosed: (closed, reason) => registry.leave(closed, reason),
  });
  onTestFinished(() => registry.close());
  return { connection, registry, sessions };
}

function anyServers(): ServerFactory {
  const unused = (): never => {
    throw new Error("No tool is called here.");
  };
  return createServerFactory({
    name: "latchkey",
    version: "0.0.0",
    tools: createToolTable([]),
    createContext: unused,
    tokens: { acquire: unused },
    endLoginSession: unused,
    loginLink: () => undefined,
    deadLoginError: () => new LatchkeyError("login_ended", "It has ended."),
    logger: silentLogger,
  });
}
