import fc from "fast-check";
import { expect } from "vitest";
import type { LoginSession, LoginSessionId, RefreshTokenHash } from "../../src/session/login-session.ts";
import type { LoginSessionStore, Store } from "../../src/session/store.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { aLoginSession } from "../session/records.ts";

const name = fc.constantFrom("a", "b", "c", "d");
/** Of a refresh token that an import brought; mostly none. */
const imported = fc.option(fc.constantFrom("x" as RefreshTokenHash, "y" as RefreshTokenHash), { nil: undefined });
const time = fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined });

const operation = fc.oneof(
  fc.record({ kind: fc.constant("insert" as const), name, dueAt: time, imported }),
  fc.record({ kind: fc.constant("commit" as const), name, behind: fc.integer({ min: 0, max: 2 }), dueAt: time }),
  fc.record({ kind: fc.constant("remove" as const), name, behind: fc.integer({ min: 0, max: 1 }) }),
  fc.record({ kind: fc.constant("claim" as const), now: fc.integer({ min: 0, max: 3_000 }), leaseMs: fc.integer({ min: 1, max: 500 }) }),
  fc.record({ kind: fc.constant("shift" as const), byMs: fc.integer({ min: -500, max: 500 }) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** What came out of it, as far as both stores must agree. */
async function run(store: LoginSessionStore, each: Operation): Promise<unknown> {
  switch (each.kind) {
    case "insert":
      return store.insert(aLoginSession(each.name, { nextDueAt: each.dueAt, importedRefreshTokenHash: each.imported })).then(
        () => "inserted",
        (error: unknown) => (error instanceof Error && "code" in error ? error.code : "strange"),
      );
    case "commit":
      return store.commit(await following(store, each.name, each.behind, each.dueAt));
    case "remove": {
      const current = await store.get(aLoginSession(each.name).id);
      return store.remove(aLoginSession(each.name).id, (current?.version ?? 1) - each.behind);
    }
    case "claim":
      // Of two that are due at the same moment, either may come first.
      return [...(await store.claimDue(each.now, 100, each.leaseMs))].sort();
    case "shift":
      return store.shiftDue(each.byMs);
  }
}

async function following(store: LoginSessionStore, each: string, behind: number, nextDueAt: number | undefined): Promise<LoginSession> {
  const current = (await store.get(`id-${each}` as LoginSessionId)) ?? aLoginSession(each);
  const version = current.version + 1 - behind;
  const refreshTokenHash = `hash-${each}-${version}` as RefreshTokenHash;
  return {
    ...current,
    version,
    generation: current.generation + 1,
    nextDueAt,
    refreshTokenHash,
    consumedRefreshTokenHash: current.refreshTokenHash,
  };
}

/** Two stores on the same data, as two processes have them. */
export interface PropertyBench {
  open(): Promise<Store>;
  close(): Promise<void>;
}

/** Used in turn, both do as one store in memory does (property). */
export async function assertLikeMemory(makeBench: () => PropertyBench, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), operation), { maxLength: 25 }), async (operations) => {
      const bench = makeBench();
      try {
        const memory = new MemoryStore(() => 0).loginSessions;
        const both = [(await bench.open()).loginSessions, (await bench.open()).loginSessions] as const;
        for (const [first, each] of operations) {
          // A shift that another process has made already is not made twice; that is tested by itself.
          const store = each.kind === "shift" || first ? both[0] : both[1];
          expect(await run(store, each)).toEqual(await run(memory, each));
        }
        for (const each of ["a", "b", "c", "d"]) {
          const known = await memory.get(aLoginSession(each).id);
          for (const store of both) {
            expect(await store.get(aLoginSession(each).id)).toEqual(known);
            expect(await store.getByHandle(aLoginSession(each).handle)).toEqual(known);
            for (const hash of [known?.refreshTokenHash, known?.consumedRefreshTokenHash, known?.importedRefreshTokenHash])
              if (hash !== undefined) expect(await store.getByRefreshTokenHash(hash)).toEqual(known);
          }
        }
        const ids = (records: readonly LoginSession[]): readonly string[] => records.map(({ id }) => id);
        expect(ids(await both[1].listByUser("https://as.example", "alice"))).toEqual(
          ids(await memory.listByUser("https://as.example", "alice")),
        );
      } finally {
        await bench.close();
      }
    }),
    { numRuns },
  );
}
