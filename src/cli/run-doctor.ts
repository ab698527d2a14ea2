import { existsSync, statSync } from "node:fs";
import { dirname, sep } from "node:path";
import { loggingAudit } from "../audit/audit.ts";
import { sleep } from "../clock.ts";
import { isLocalStoreThere } from "../composition/local-side.ts";
import { storeProblems } from "../composition/open-store.ts";
import { authorizationServerSettings } from "../composition/settings.ts";
import { withStore } from "../composition/store-tasks.ts";
import type { Config } from "../config/schema.ts";
import { asLatchkeyError } from "../errors.ts";
import { listen } from "../http/listen.ts";
import { silentLogger } from "../logger.ts";
import { AuthorizationServers } from "../oidc/authorization-servers.ts";
import { keyFileOf, keyFileProblem } from "../store/sealing-keys.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { withLocalSide } from "./local-command.ts";
import type { DoctorOptions } from "./run-options.ts";
import { stayAlive } from "./stay-alive.ts";

/** How long each check may take. */
const checkLimitMs = 5_000;
/** As `engines` of package.json says. */
const lowestNode = [22, 19] as const;
const othersMask = 0o077;

/** What one check found, for people and programs: no secret in it. */
interface Check {
  readonly name: string;
  /** `warn`: it works, or works once something else is done. */
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What to do, unless `detail` says it. */
  readonly remedy?: string;
}

/** Runs `latchkey doctor`: all checks side by side. It never throws for what a check finds. */
export async function runDoctor({ loaded, profile, json }: DoctorOptions, io: CommandIo): Promise<ExitCode> {
  const found = loaded.ok
    ? await stayAlive(() => checkAll(loaded.config, profile, io))
    : loaded.problems.map((problem) => fail("configuration", problem));
  const checks = [checkNode(io), ...found];
  if (json) io.stdout.write(`${JSON.stringify({ checks }, undefined, 2)}\n`);
  else io.stdout.write(checks.map(lineOf).join(""));
  return checks.some(({ status }) => status === "fail") ? 1 : 0;
}

function lineOf({ name, status, detail, remedy }: Check): string {
  return `${status.padEnd(4)}  ${name}: ${detail}${remedy === undefined ? "" : ` ${remedy}`}\n`;
}

function checkNode({ nodeVersion }: CommandIo): Check {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const [lowestMajor, lowestMinor] = lowestNode;
  const isNew = major > lowestMajor || (major === lowestMajor && minor >= lowestMinor);
  const detail = `This is Node.js ${nodeVersion}; ${lowestNode.join(".")} or newer is needed.`;
  return isNew ? ok("node", detail) : { ...fail("node", detail), remedy: "Install a current one from https://nodejs.org." };
}

async function checkAll(config: Config, profile: string | undefined, io: CommandIo): Promise<readonly Check[]> {
  const within = (name: string, check: () => Promise<readonly Check[]>) => limited(name, check, io);
  const names = Object.keys(config.authorizationServers);
  const found = await Promise.all([
    ...names.map((name) => within(`authorization server ${name}`, () => checkAuthorizationServer(config, name, io))),
    within("store", () => checkStore(config, io)),
    within("sealing key", async () => checkSealingKey(config)),
    within("port", () => checkPort(config, io)),
    ...(profile === undefined ? [] : [within(`profile ${profile}`, () => checkProfile(config, profile, io))]),
  ]);
  return [ok("configuration", "It is sound."), ...found.flat()];
}

/** A check that throws or takes too long has failed; the others go on. */
async function limited(name: string, check: () => Promise<readonly Check[]>, io: CommandIo): Promise<readonly Check[]> {
  const stop = new AbortController();
  const late = sleep(io.clock, checkLimitMs, stop.signal).then(() => [fail(name, `There was no answer within ${checkLimitMs / 1000} s.`)]);
  try {
    return await Promise.race([check(), late]);
  } catch (cause) {
    return [fail(name, asLatchkeyError(cause).message)];
  } finally {
    stop.abort();
  }
}

async function checkAuthorizationServer(config: Config, name: string, io: CommandIo): Promise<readonly Check[]> {
  const settings = authorizationServerSettings(config).filter((each) => each.name === name);
  const services = { clock: io.clock, logger: silentLogger, audit: loggingAudit(silentLogger), proxies: io.env };
  const servers = new AuthorizationServers(settings, services);
  const title = `authorization server ${name}`;
  const issuer = config.authorizationServers[name]?.issuer ?? "";
  const probe = await servers.probe(name);
  if (!probe.ok) {
    const remedy = `Make sure that it runs and that this machine can reach it, and correct authorizationServers.${name}.issuer.`;
    return [{ ...fail(title, `${issuer}: ${probe.problem}.`), remedy }];
  }
  const reached = ok(title, `${issuer} answers, and names this issuer.`);
  const note = servers.clockNote(name);
  const clock = `clock of ${name}`;
  if (note !== undefined) return [reached, { ...warn(clock, note), remedy: "Set this machine's clock, best with NTP." }];
  if (probe.clockAheadSeconds === undefined) return [reached, warn(clock, "Its answer had no date: the clocks were not compared.")];
  return [reached, ok(clock, "This machine's clock and the server's are close enough.")];
}

async function checkStore(config: Config, io: CommandIo): Promise<readonly Check[]> {
  const { type, file } = config.store;
  if (type === "memory") return [warn("store", 'store.type is "memory": every login session ends with the process.')];
  const problems = storeProblems(config);
  if (problems.length > 0) return problems.map((problem) => fail("store", problem));
  if (!isLocalStoreThere(config))
    return [warn("store", `There is no store at ${file} yet: "latchkey serve" or "latchkey store migrate" makes it.`)];
  await withStore(config, { clock: io.clock, logger: silentLogger }, false, async ({ administration, now }) => administration.stats(now()));
  return [ok("store", file === undefined ? `The store (${type}) can be read.` : `${file} can be read.`)];
}

function checkSealingKey({ store, sealing }: Config): readonly Check[] {
  const name = "sealing key";
  const [active] = sealing.keys;
  if (active !== undefined) return [ok(name, `sealing.keys of the configuration: "${active.id}" is the active of ${sealing.keys.length}.`)];
  if (store.file === undefined) return [ok(name, `store.type "${store.type}" needs none.`)];
  const path = keyFileOf(store.file);
  const problem = keyFileProblem(store.file);
  if (problem !== undefined) return [fail(name, problem)];
  if (!existsSync(path)) {
    const detail = `sealing.keys is not set, and there is no key file ${path}.`;
    if (!existsSync(store.file)) return [warn(name, `${detail} It is made with the store.`)];
    return [warn(name, `${detail} If the store holds anything, put the key file back from a backup.`)];
  }
  const source = `The key file ${path}, since sealing.keys is not set`;
  const folder = dirname(path);
  const { mode } = statSync(folder);
  // Windows has no such modes: there the user's folder protects it.
  if ((mode & othersMask) === 0 || sep !== "/") return [ok(name, `${source}.`)];
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  return [{ ...warn(name, `${source}. Its folder has the mode ${shown}.`), remedy: `Run: chmod 700 ${folder}` }];
}

async function checkPort({ server: { host, port } }: Config, { clock }: CommandIo): Promise<readonly Check[]> {
  try {
    const listener = await listen({ host, port, clock });
    await listener.close(0);
    return [ok("port", port === 0 ? "serve takes a free one." : `Port ${port} on ${host} is free.`)];
  } catch (error) {
    const { message, cause } = asLatchkeyError(error);
    // A server that is already running is no fault.
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    return [isTaken ? { ...warn("port", message), remedy: "All is well if it is latchkey serve." } : fail("port", message)];
  }
}

async function checkProfile(config: Config, profile: string, io: CommandIo): Promise<readonly Check[]> {
  const name = `profile ${profile}`;
  const remedy = `Run: latchkey login --profile ${profile}`;
  const state = isLocalStoreThere(config) ? await withLocalSide(config, io, ({ profiles }) => profiles.find(profile)) : undefined;
  if (state === undefined) return [{ ...warn(name, "Nobody is signed in in it."), remedy }];
  switch (state.record?.state) {
    case "live":
    case "refreshing":
      return [ok(name, "Its login session is live.")];
    case "uncertain":
      return [warn(name, "Whether its last refresh went through is not known yet: it is looked at when it is used next.")];
    case "login_required":
    case "ended":
    case undefined:
      return [{ ...warn(name, "Its login session needs a sign-in."), remedy }];
  }
}

function ok(name: string, detail: string): Check {
  return { name, status: "ok", detail };
}

function warn(name: string, detail: string): Check {
  return { name, status: "warn", detail };
}

function fail(name: string, detail: string): Check {
  return { name, status: "fail", detail };
}
