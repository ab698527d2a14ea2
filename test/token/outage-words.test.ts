import { describe, expect, it } from "vitest";
import type { RefreshOutcome } from "../../src/token/ports.ts";
import { makeBench, tryAcquire } from "../support/token-bench.ts";

const cause = new Error("as the server was");
const unreachable = /cannot be reached/;

/** Six login sessions whose access tokens are over, the first of which found the server unreachable once. */
async function beforeTheOutage(model: Parameters<typeof makeBench>[0] = {}) {
  const bench = makeBench(model);
  const logins = [];
  for (const name of ["alice", "bob", "carol", "dave", "erin", "frank", "grace"]) logins.push((await bench.signIn(name)).login);
  await bench.clock.advance(31_000);
  const [first, ...others] = logins;
  if (first === undefined) throw new Error("nobody signed in");
  bench.server.faults.push({ kind: "answer", outcome: { kind: "not_sent", cause } });
  expect(await tryAcquire(bench.one, first)).toMatchObject({ message: expect.stringMatching(unreachable) });
  return { ...bench, first, others };
}

describe("what a caller is told while the authorization server answers with errors (S6, F12)", () => {
  it.each([
    [{ kind: "server_error", cause }, /answered with an error of its own/],
    [{ kind: "server_error", retryAfterSeconds: 30, cause }, /answered with an error of its own/],
    [{ kind: "refused", retryAfterSeconds: 30, cause }, /refused to refresh the access token for now/],
    [{ kind: "ambiguous", cause }, /did not answer a refresh properly/],
    [{ kind: "client_broken", cause }, /check clientId and clientSecret/],
  ] as [RefreshOutcome, RegExp][])("$kind: what it does now, not that it cannot be reached", async (outcome, words) => {
    const { clock, one, server, first, others } = await beforeTheOutage();
    server.outage = outcome;
    for (const login of others.slice(0, 5)) await tryAcquire(one, login);
    const presentations = server.presentations.length;
    // One that never failed itself, and one whose own last failure is of another kind: the gate is closed for both.
    for (const login of [others[5], first]) {
      if (login === undefined) throw new Error("nobody signed in");
      const error = await tryAcquire(one, login);
      expect(error).toMatchObject({ code: "authorization_server_unavailable", retryable: true, message: expect.stringMatching(words) });
      expect(error).not.toMatchObject({ message: expect.stringMatching(unreachable) });
    }
    expect(server.presentations).toHaveLength(presentations);
    await clock.advance(0);
  });

  it("that the server cannot be reached, again, once that is what it does", async () => {
    const { clock, one, server, first, others } = await beforeTheOutage();
    server.outage = { kind: "server_error", cause };
    for (const login of others.slice(0, 3)) await tryAcquire(one, login);
    server.outage = { kind: "not_sent", cause };
    const [, , , fifth, sixth] = others;
    if (fifth === undefined || sixth === undefined) throw new Error("nobody signed in");
    await tryAcquire(one, fifth);
    expect(await tryAcquire(one, sixth)).toMatchObject({ message: expect.stringMatching(unreachable) });
    server.outage = undefined;
    await clock.advance(10_000);
    expect(await tryAcquire(one, first)).toMatchObject({ accessToken: expect.any(String) });
    expect(one.core.issuers.mustGet("main").gate.lastFailure).toBeUndefined();
  });

  it("of an introspection endpoint that answers 503, whose Retry-After counts too", async () => {
    const { clock, one, server, signIn } = makeBench({ introspection: "works" });
    const { login } = await signIn();
    await clock.advance(31_000);
    one.core.issuers.mustGet("main").introspectionTrusted = true;
    server.faults.push({ kind: "answer", outcome: { kind: "server_error", cause } });
    await tryAcquire(one, login);
    await clock.advance(10_000);
    server.introspectionAnswer = { kind: "unavailable", answered: true, retryAfterSeconds: 40, cause };
    expect(await tryAcquire(one, login)).toMatchObject({ message: expect.stringMatching(/answered with an error of its own/) });
    const asked = server.introspections;
    await clock.advance(39_000);
    expect(await tryAcquire(one, login)).toMatchObject({ message: expect.stringMatching(/answered with an error of its own/) });
    expect(server.introspections).toBe(asked);
  });
});
