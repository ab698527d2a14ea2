// How an access token is got: valid ones, from many login sessions in turn, and one that has just expired, by many
// callers at once. The yardstick is what one writes first: a mutex for each login session, taken on every call.
//   npx node bench/acquire.ts [--slices 9] [--seconds-per-slice 0.5] [--login-sessions 10000] [--callers 10000]
// Exit code 1: the callers at expiry made another number of POSTs than one.
import { parseArgs } from "node:util";
import { Mutex } from "async-mutex";
import { type Clock, systemClock } from "../src/clock.ts";
import { composeCore } from "../src/composition/core.ts";
import { openMemoryStore } from "../src/composition/open-store.ts";
import type { WatchedLoginSession } from "../src/session/login-sessions.ts";
import { median, medianRatio, print, rounded, table } from "./measuring/report.ts";
import { benchConfig, logger, signIn } from "./servers/latchkey-core.ts";
import { startTokenEndpoint } from "./servers/token-endpoint.ts";

const { values } = parseArgs({
  options: {
    slices: { type: "string", default: "9" },
    "seconds-per-slice": { type: "string", default: "0.5" },
    "login-sessions": { type: "string", default: "10000" },
    callers: { type: "string", default: "10000" },
  },
});
const slices = Number(values.slices);
const milliseconds = Number(values["seconds-per-slice"]) * 1000;
const loginSessions = Number(values["login-sessions"]);
const callers = Number(values.callers);

const target = { scopes: [] };
const tokenSeconds = 30;
let aheadMs = 0;
const clock: Clock = { ...systemClock, now: () => Date.now() + aheadMs };
const endpoint = await startTokenEndpoint();
const { issuer } = endpoint;
const core = composeCore({ config: benchConfig(issuer), opened: openMemoryStore(clock), clock, logger, loginLink: () => undefined });

async function watch(user: string, expiresInSeconds: number): Promise<WatchedLoginSession> {
  const { id } = await signIn(core, user, { issuer, obtainedAt: clock.now(), expiresInSeconds });
  const login = await core.sessions.watch(id);
  if (login === undefined) throw new Error("the login session is gone");
  return login;
}

/** How often in a second `run` does its work, which is `each` calls. */
async function rateOf(each: number, run: () => void | Promise<void>): Promise<number> {
  const begun = performance.now();
  let calls = 0;
  while (performance.now() - begun < milliseconds) {
    await run();
    calls += each;
  }
  return (calls / (performance.now() - begun)) * 1000;
}

// A week: longer than the clock is put forward below.
const warm: { readonly login: WatchedLoginSession; readonly mutex: Mutex }[] = [];
for (let number = 0; number < loginSessions; number += 1)
  warm.push({ login: await watch(`warm-${number}`, 7 * 86_400), mutex: new Mutex() });

function acquireWarm(): void {
  for (const { login } of warm)
    if (core.tokens.acquire(login, target) instanceof Promise) throw new Error("a valid access token was waited for");
}

async function lockWarm(): Promise<void> {
  for (const { login, mutex } of warm)
    await mutex.runExclusive(() => {
      const [entry] = login.current().accessTokens;
      if (entry === undefined || entry.expiresAt <= clock.now()) throw new Error("an access token has expired");
    });
}

/** All callers at once, when the access token has just expired: how long until the last has one, and how many POSTs. */
async function atExpiry(user: string): Promise<{ readonly elapsedMs: number; readonly posts: number }> {
  const login = await watch(user, tokenSeconds);
  aheadMs += (tokenSeconds + 1) * 1000;
  const begun = performance.now();
  const entries = await Promise.all(Array.from({ length: callers }, () => core.tokens.acquire(login, target)));
  const elapsedMs = performance.now() - begun;
  if (new Set(entries.map(({ accessToken }) => accessToken)).size !== 1) throw new Error("callers got different access tokens");
  login.release();
  return { elapsedMs, posts: endpoint.presentationsOf(user) };
}

/** The same with a mutex, a second look under it, and a bare POST. */
async function lockedAtExpiry(user: string): Promise<number> {
  const mutex = new Mutex();
  let token: string | undefined;
  const begun = performance.now();
  const acquire = (): Promise<string> =>
    mutex.runExclusive(async () => {
      if (token !== undefined) return token;
      const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: `refresh-token-of-${user}` });
      token = await (await fetch(`${issuer}/token`, { method: "POST", body })).text();
      return token;
    });
  await Promise.all(Array.from({ length: callers }, acquire));
  return performance.now() - begun;
}

const rates: number[] = [];
const lockedRates: number[] = [];
const times: number[] = [];
const lockedTimes: number[] = [];
const posts: number[] = [];
for (let slice = -1; slice < slices; slice += 1) {
  const rate = await rateOf(loginSessions, acquireWarm);
  const lockedRate = await rateOf(loginSessions, lockWarm);
  const expiry = await atExpiry(`expired-${slice}`);
  const lockedTime = await lockedAtExpiry(`locked-${slice}`);
  posts.push(expiry.posts);
  // The first of each warms up.
  if (slice < 0) continue;
  rates.push(rate);
  lockedRates.push(lockedRate);
  times.push(expiry.elapsedMs);
  lockedTimes.push(lockedTime);
}
await core.close(1000);
endpoint.close();

const result = {
  validPerSecond: rounded(median(rates), 0),
  validWithMutexPerSecond: rounded(median(lockedRates), 0),
  validRatio: rounded(medianRatio(rates, lockedRates), 1),
  expiredMs: rounded(median(times), 1),
  expiredWithMutexMs: rounded(median(lockedTimes), 1),
  expiredRatio: rounded(medianRatio(lockedTimes, times), 1),
  mostPosts: Math.max(...posts),
};
print(
  { bench: "acquire", node: process.version, slices, secondsPerSlice: milliseconds / 1000, loginSessions, callers, ...result },
  table(
    ["", "Latchkey", "mutex on each call", "ratio"],
    [
      ["valid access tokens/s", result.validPerSecond, result.validWithMutexPerSecond, result.validRatio],
      [`${callers} callers at expiry, ms`, result.expiredMs, result.expiredWithMutexMs, result.expiredRatio],
    ],
  ),
);
process.stdout.write(`at most ${result.mostPosts} POST for the callers of one login session\n`);
if (posts.some((count) => count !== 1)) process.exitCode = 1;
