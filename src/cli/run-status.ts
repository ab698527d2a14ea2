import { sleep } from "../clock.ts";
import { isLocalStoreThere, type LocalSide } from "../composition/local-side.ts";
import { nameOf, type ProfileState } from "../local/profiles.ts";
import { describeLoginSession } from "../tool/login-session-status.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { withLocalSide } from "./local-command.ts";
import type { StatusOptions } from "./run-options.ts";

/** How long an authorization server may take to show its clock. */
const probeLimitMs = 3_000;

/** Runs `latchkey status`. Throws LatchkeyError `configuration_invalid` and `store_unavailable`. */
export async function runStatus({ config, profile, json }: StatusOptions, io: CommandIo): Promise<ExitCode> {
  const found = isLocalStoreThere(config) ? await withLocalSide(config, io, (side) => lookAll(side, profile)) : [];
  if (json) io.stdout.write(`${JSON.stringify({ profiles: found }, undefined, 2)}\n`);
  else if (found.length > 0) io.stdout.write(`${found.map(textOf).join("\n\n")}\n`);
  else io.stdout.write(profile === undefined ? "Nobody is signed in.\n" : `Nobody is signed in in the profile "${profile}".\n`);
  return 0;
}

/** One profile, for people and programs: times in ISO 8601, no token. */
interface ProfileStatus {
  readonly profile: string;
  readonly issuer: string;
  readonly subject: string;
  /** `purged`: it ended long ago, and only the profile still knows whose it was. */
  readonly state: string;
  readonly [field: string]: string | undefined;
}

async function lookAll({ profiles, core, clock }: LocalSide, name: string | undefined): Promise<readonly ProfileStatus[]> {
  const states = name === undefined ? await profiles.list() : [await profiles.find(name)].filter((state) => state !== undefined);
  const servers = new Set(states.flatMap(({ record }) => (record === undefined ? [] : [record.authorizationServer])));
  // Their answers show their clocks. One that is not configured any more has none.
  const probes = Promise.all([...servers].map((server) => core.authorizationServers.probe(server).catch(() => undefined)));
  const stop = new AbortController();
  await Promise.race([probes, sleep(clock, probeLimitMs, stop.signal)]);
  stop.abort();
  return states.map((state) => statusOf(state, (server) => core.authorizationServers.clockNote(server)));
}

function statusOf({ profile, record }: ProfileState, clockNote: (authorizationServer: string) => string | undefined): ProfileStatus {
  const { name, principal } = profile;
  const head = { profile: name, issuer: principal.issuer, subject: principal.subject };
  if (record === undefined) return { ...head, state: "purged" };
  const { clients: _, ...health } = describeLoginSession(record, [], clockNote(record.authorizationServer));
  const refreshTokenExpiresAt =
    record.refreshTokenExpiresAt === undefined ? undefined : new Date(record.refreshTokenExpiresAt).toISOString();
  return { ...head, name: nameOf(record), authorizationServer: record.authorizationServer, ...health, refreshTokenExpiresAt };
}

function textOf(status: ProfileStatus): string {
  const { profile, name, subject, issuer, state, reason } = status;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["user", `${name ?? subject} at ${issuer}`],
    ["state", reason === undefined ? state : `${state} (${reason})`],
    ["access token expires", status["accessTokenExpiresAt"]],
    ["refresh token expires", status["refreshTokenExpiresAt"]],
    ["last refresh", status["lastRefreshAt"]],
    ["next refresh", status["nextRefreshAt"]],
    ["note", status["note"]],
    ["clock", status["clock"]],
  ];
  const lines = rows.flatMap(([label, value]) => (value === undefined ? [] : [`  ${label.padEnd(22)}${value}`]));
  return [`profile ${profile}`, ...lines].join("\n");
}
