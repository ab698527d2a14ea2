import fc from "fast-check";
import { expect, it } from "vitest";
import type { GatePriority } from "../../src/token/gate-queue.ts";
import { type GateTicket, type GateVerdict, IssuerGate } from "../../src/token/issuer-gate.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

interface Visit {
  readonly priority: GatePriority;
  readonly expiresAt: number;
  readonly promoted: boolean;
  readonly verdict: GateVerdict;
  /** A ticket may be left twice. */
  readonly leavesTwice: boolean;
}

const failuresToClose = 5;

const verdict = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<GateVerdict>({ kind: "sick", failure: "not_sent" }, { kind: "sick", failure: "ambiguous" }) },
  { weight: 3, arbitrary: fc.constantFrom<GateVerdict>({ kind: "healthy" }, { kind: "answered" }, { kind: "neutral" }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<GateVerdict>({ kind: "client_broken" }, { kind: "sick", failure: "refused", retryAfterSeconds: 7 }),
  },
);
const visit: fc.Arbitrary<Visit> = fc.record({
  priority: fc.constantFrom<GatePriority>("user", "heartbeat"),
  expiresAt: fc.nat(10),
  promoted: fc.boolean(),
  verdict,
  leavesTwice: fc.boolean(),
});

/** What the gate must think of the authorization server, after the verdicts in the order in which they were given. */
class Expected {
  failures = 0;
  paused = false;
  restUntil = 0;

  get isHalfOpen(): boolean {
    return this.paused || this.failures >= failuresToClose;
  }

  judge(given: GateVerdict, now: number): void {
    switch (given.kind) {
      case "healthy":
        this.failures = 0;
        this.paused = false;
        return;
      case "answered":
        if (!this.paused) this.failures = 0;
        return;
      case "sick":
        this.failures += 1;
        this.restUntil = Math.max(this.restUntil, now + (given.retryAfterSeconds ?? 0) * 1000);
        return;
      case "client_broken":
        this.failures += 1;
        this.paused = true;
        return;
      case "neutral":
        return;
    }
  }
}

it("never more inside than allowed, one probe while half open, nobody before Retry-After, open without trouble, and every waiter admitted or refused (I13)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(visit, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 4 }),
      fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.option(fc.nat(30_000), { nil: undefined }),
      // Whether time goes on although somebody could do something.
      fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
      async (scheduler, visits, concurrency, perSecond, random, shutDownAt, isIdle) => {
        const clock = new ManualClock();
        const gate = new IssuerGate(clock, { concurrency, perSecond, random: () => random });
        const expected = new Expected();
        const problems: string[] = [];
        const starts: number[] = [];
        let inside = 0;
        let admitted = 0;
        let refused = 0;
        let isShutDown = false;

        const hold = async ({ verdict: given, leavesTwice }: Visit, ticket: GateTicket): Promise<void> => {
          inside += 1;
          admitted += 1;
          starts.push(clock.monotonic());
          if (isShutDown) problems.push("admitted after the gate was shut down");
          if (inside > concurrency) problems.push(`${inside} inside of ${concurrency}`);
          // Who was inside when the gate closed may still be there; nobody comes in beside them.
          if (expected.isHalfOpen && inside > 1) problems.push(`${inside} inside of a gate that is half open`);
          if (clock.monotonic() < expected.restUntil) problems.push("admitted before Retry-After");
          await scheduler.schedule(Promise.resolve());
          inside -= 1;
          expected.judge(given, clock.monotonic());
          ticket.leave(given);
          const restsForMs = Math.max(0, expected.restUntil - clock.monotonic());
          if (!gate.isTroubled && gate.closedForMs > restsForMs) problems.push("closed though nothing is wrong");
          if (leavesTwice) ticket.leave({ kind: "healthy" });
        };
        const go = async (each: Visit): Promise<void> => {
          await scheduler.schedule(Promise.resolve());
          const place = gate.enter(each.priority, each.expiresAt);
          // The same turn in which it is admitted: what others do in between counts as before or after it.
          const stay = place.entered.then(
            (ticket) => hold(each, ticket),
            () => {
              refused += 1;
            },
          );
          if (each.promoted) {
            await scheduler.schedule(Promise.resolve());
            place.promote();
          }
          await stay;
        };
        let isOver = false;
        const all = Promise.all(visits.map(go)).then(() => {
          isOver = true;
        });
        const shutDown = (): void => {
          if (isShutDown) return;
          gate.shutDown();
          // Who was admitted before it may hear of it a moment later.
          void Promise.resolve().then(() => {
            isShutDown = true;
          });
        };
        for (let turn = 0; !isOver; turn += 1) {
          if (shutDownAt !== undefined && clock.monotonic() >= shutDownAt) shutDown();
          if (scheduler.count() === 0) await clock.advance(10_000);
          else if (isIdle[turn % isIdle.length] && turn < 100) await clock.advance(700);
          else await scheduler.waitOne();
          await settle();
          // Thirty visits, each of which may have to wait for a minute.
          if (turn > 400) throw new Error(`${visits.length - admitted - refused} wait for ever`);
        }
        await all;
        expect(problems).toEqual([]);
        if (shutDownAt === undefined) expect(refused).toBe(0);
        if (perSecond !== undefined)
          for (const [from, first] of starts.entries()) {
            const withinSecond = starts.filter((each, index) => index >= from && each < first + 1_000).length;
            expect(withinSecond).toBeLessThanOrEqual(Math.max(2 * perSecond, perSecond + 2));
          }
        gate.shutDown();
        await expect(gate.enter("user", 0).entered).rejects.toMatchObject({ code: "authorization_server_unavailable" });
        expect(clock.pending).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
