import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import { type ClientMessage, parseMessages } from "../../src/transport/message.ts";
import type { Wire } from "../../src/transport/wire.ts";
import { settle } from "../support/manual-clock.ts";
import { callMessage, McpBench } from "./mcp-bench.ts";

const alice = "id-alice" as LoginSessionId;

/** A wire that keeps what it is given. */
class MemoryWire implements Wire {
  readonly sent: { readonly message: JSONRPCMessage; readonly about: RequestId | undefined }[] = [];
  readonly dropped: RequestId[] = [];
  holdsStream = true;
  isClosed = false;

  send(message: JSONRPCMessage, about: RequestId | undefined): boolean {
    if (!this.isClosed) this.sent.push({ message, about });
    return !this.isClosed;
  }

  drop(id: RequestId): void {
    this.dropped.push(id);
  }

  keepAlive(): void {}

  endStreams(): void {}

  close(kept: ReadonlySet<RequestId>): void {
    if (kept.size === 0) this.isClosed = true;
  }
}

function parsed(message: object): readonly ClientMessage[] {
  const result = parseMessages(JSON.stringify(message));
  if (result.kind === "invalid") throw new Error(result.problem);
  return result.messages;
}

test("no connection stays open on a login session that has ended, at any interleaving of opening and end (R3)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, openings) => {
      const bench = new McpBench();
      await bench.signIn("alice");
      const get = bench.store.loginSessions.get.bind(bench.store.loginSessions);
      bench.store.loginSessions.get = scheduler.scheduleFunction(get);
      const wires = Array.from({ length: openings }, () => new MemoryWire());
      const opened = wires.map((wire) => bench.registry.open({ transport: "sse", loginSessionId: alice, makeWire: () => wire }));
      const ended = scheduler.schedule(Promise.resolve(), "end").then(async () => {
        const current = await get(alice);
        if (current === undefined) return;
        await bench.loginSessions.commit(current, {
          ...current,
          version: current.version + 1,
          state: "ended",
          reason: { code: "logout", at: 0 },
          accessTokens: [],
          refreshToken: undefined,
        });
      });
      await scheduler.waitAll();
      const outcomes = await Promise.all(opened);
      await ended;
      await settle();
      for (const outcome of outcomes) if (outcome.kind === "opened") expect(outcome.connection.isOpen).toBe(false);
      expect(bench.registry.size).toBe(0);
      expect(bench.loginSessions.watchedCount).toBe(0);
      bench.registry.close();
    }),
    { numRuns: 60 },
  );
});

type Step =
  | { readonly kind: "call"; readonly id: number }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "release"; readonly which: number }
  | { readonly kind: "turn" };

const id = fc.integer({ min: 1, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("call" as const), id }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), id }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("release" as const), which: fc.nat({ max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
);

test("each accepted call gets its own answer, once, or none after it was cancelled, whatever ids the client uses again (F49)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const bench = new McpBench();
      await bench.signIn("alice");
      const wire = new MemoryWire();
      const outcome = await bench.registry.open({ transport: "sse", loginSessionId: alice, makeWire: () => wire });
      if (outcome.kind !== "opened") throw new Error(outcome.kind);
      const { connection } = outcome;
      const expected = new Map<number, string>();
      let count = 0;
      let answersSeen = 0;
      const look = (): void => {
        for (const { message, about } of wire.sent.slice(answersSeen)) {
          answersSeen += 1;
          const waiting = expected.get(Number(about));
          expect(JSON.stringify(message)).toContain(`answer to ${waiting}.`);
          expected.delete(Number(about));
        }
      };
      for (const each of steps) {
        if (each.kind === "call") {
          const label = `call-${++count}`;
          const messages = parsed(callMessage(each.id, "hold", { label }));
          if (connection.takenId(messages) !== undefined) continue;
          connection.deliver(messages);
          expected.set(each.id, label);
        } else if (each.kind === "cancel") {
          connection.deliver(parsed({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: each.id } }));
          expected.delete(each.id);
        } else if (each.kind === "release") {
          const held = bench.held[each.which];
          held?.release(`answer to ${held.label}.`);
        }
        if (each.kind === "turn") await settle();
        look();
      }
      await settle();
      for (const held of bench.held) held.release(`answer to ${held.label}.`);
      await settle();
      look();
      expect(expected.size).toBe(0);
      // Every id is free again.
      for (const each of [1, 2]) expect(connection.takenId(parsed(callMessage(each, "hold")))).toBeUndefined();
      bench.registry.close();
    }),
    { numRuns: 60 },
  );
});

test("every map is back at its baseline after a thousand connections (I16)", async () => {
  const bench = new McpBench();
  await bench.signIn("alice");
  const baseline = [bench.registry.sizes(), bench.store.sizes(), bench.loginSessions.watchedCount, bench.clock.pending];
  for (let turn = 0; turn < 1000; turn += 1) {
    const outcome = await bench.registry.open({ transport: "sse", loginSessionId: alice, makeWire: () => new MemoryWire() });
    if (outcome.kind !== "opened") throw new Error(outcome.kind);
    outcome.connection.deliver(parsed(callMessage(1, "hold")));
    outcome.connection.close("client");
  }
  await bench.clock.advance(1000);
  expect([bench.registry.sizes(), bench.store.sizes(), bench.loginSessions.watchedCount, bench.clock.pending]).toEqual(baseline);
  bench.registry.close();
});
