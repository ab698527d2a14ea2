import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SecretKind } from "../support/e2e-canaries.ts";
import { presented } from "../support/e2e-canary-day.ts";
import { type Run, runEverything } from "../support/e2e-canary-run.ts";

const closings: (() => Promise<void>)[] = [];
let run: Run;

beforeAll(async () => {
  run = await runEverything((close) => closings.unshift(close));
}, 60_000);
afterAll(async () => {
  for (const close of closings) await close();
});

describe("a whole run, with every secret in it looked for in every place", () => {
  test("F39 leaks nothing: no log line, answer, message, error, event, page or address holds a secret (B10)", () => {
    expect(run.canaries.findLeaks(run.sinks)).toEqual([]);
  });

  test("shows each connection key once, in the answer that made it (B10)", () => {
    const answers = run.front.received.join("\n");
    const counts = run.canaries.of("connection_key").map((key) => answers.split(key).length - 1);
    expect(counts).toEqual(counts.map(() => 1));
  });

  test("gives the API access tokens for itself alone, and clients none (B11)", () => {
    expect(run.world.api.stats().foreignBearers).toBe(0);
    expect(run.world.api.stats().requests).toBeGreaterThan(10);
    const bearers = new Set(
      run.api.sent.flatMap((text) => [...text.matchAll(/^authorization: Bearer (\S+)/gim)].map(([, bearer]) => bearer)),
    );
    expect(bearers.size).toBeGreaterThan(2);
    expect([...bearers].filter((bearer) => !run.canaries.of("access_token").includes(bearer ?? ""))).toEqual([]);
  });

  test("had all of it: each kind of secret, and in each place what belongs there", () => {
    const least: Readonly<Record<SecretKind, number>> = {
      access_token: 6,
      refresh_token: 6,
      id_token: 3,
      authorization_code: 3,
      code_verifier: 3,
      cookie: 5,
      connection_key: 4,
      client_secret: 1,
      import_secret: 1,
      csrf_token: 2,
      presented: presented.length,
    };
    for (const [kind, count] of Object.entries(least))
      expect({ kind, count: countOf(kind) }).toEqual({ kind, count: expect.toSatisfy((n: number) => n >= count) });
    const marks: Readonly<Record<string, readonly string[]>> = {
      "the log": ["refresh_committed", "foreign_connection_access", "import_refused", "csrf_refused", "login_required"],
      "answers of Latchkey, but for what it sets and shows": [
        "event: session",
        "<!doctype html>",
        "authorization_server_unavailable",
        "login_required",
        "login_ended",
        "application/problem+json",
        "HTTP/1.1 303",
        "The report is ready",
        // What stands in the place of an access token that an API sent back.
        "[access token]",
      ],
      "messages on stdout": ['"subject":"carol"', "upstream_failed"],
      "addresses that clients asked Latchkey for": ["GET /login/callback HTTP", "/messages?sessionId=", "/api/events?login="],
      "addresses that Latchkey asked the authorization server for": [
        "POST /token HTTP",
        "POST /token/revocation HTTP",
        "POST /token/introspection HTTP",
      ],
      "requests to the authorization server": ["grant_type=refresh_token", "grant_type=authorization_code"],
      "requests to the API": ["POST /notes HTTP", "GET /reports/slow"],
      "requests to where an API redirects to": ["/taken"],
    };
    for (const [name, expected] of Object.entries(marks)) {
      const text = run.sinks.find((sink) => sink.name === name)?.text ?? "";
      expect({ name, missing: expected.filter((mark) => !text.includes(mark)) }).toEqual({ name, missing: [] });
    }
  });

  test("would have told: a secret of any kind, whole, cut off or encoded, is found in any place", () => {
    for (const sink of run.sinks) {
      for (const kind of kinds.filter((each) => !sink.allowed?.includes(each))) {
        const [secret = ""] = run.canaries.of(kind);
        const forms = [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("hex"), `${secret}x`];
        if (secret.length > 60 && !secret.startsWith("eyJ")) forms.push(secret.slice(0, 30));
        for (const form of forms) {
          const leaks = run.canaries.findLeaks([
            { ...sink, text: `${sink.text.slice(0, 200)} seeded ${form} ${sink.text.slice(200, 400)}` },
          ]);
          expect(leaks.map((leak) => ({ kind: leak.kind, sink: leak.sink }))).toContainEqual({ kind, sink: sink.name });
          expect(JSON.stringify(leaks)).not.toContain(secret);
        }
      }
    }
  });

  const kinds: readonly SecretKind[] = [
    "access_token",
    "refresh_token",
    "id_token",
    "authorization_code",
    "code_verifier",
    "cookie",
    "connection_key",
    "client_secret",
    "import_secret",
    "csrf_token",
    "presented",
  ];

  function countOf(kind: string): number {
    const known = kinds.find((each) => each === kind);
    return known === undefined ? 0 : run.canaries.of(known).length;
  }
});
