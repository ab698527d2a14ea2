import type { LocalSide } from "../composition/local-side.ts";
import { didYouMean } from "../config/spelling.ts";
import { asLatchkeyError, type LatchkeyError } from "../errors.ts";
import { DeviceSignIn } from "../local/device-sign-in.ts";
import { LoopbackSignIn } from "../local/loopback-sign-in.ts";
import { openBrowser } from "../local/open-browser.ts";
import { isSignedIn, nameOf, type ProfileState, type SignedIn } from "../local/profiles.ts";
import type { SignInOutcome } from "../local/sign-in-servers.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { withLocalSide } from "./local-command.ts";
import { untilShutdown } from "./ready.ts";
import type { LoginOptions } from "./run-options.ts";
import { refuseUsage } from "./usage.ts";

/** Runs `latchkey login`. Throws LatchkeyError `configuration_invalid` and `store_unavailable`. */
export function runLogin(options: LoginOptions, io: CommandIo): Promise<ExitCode> {
  return withLocalSide(options.config, io, async (side) => {
    const state = await side.profiles.find(options.profile);
    const chosen = chooseServer(options, state);
    if (chosen.kind === "problem") return refuseUsage("login", [chosen.problem], io);
    return await (options.device ? signInByDevice : signInByBrowser)(options, chosen.name, side, io);
  });
}

async function signInByDevice({ profile }: LoginOptions, authorizationServer: string, side: LocalSide, io: CommandIo): Promise<ExitCode> {
  const { core, profiles, clock } = side;
  const finish = (login: Parameters<typeof profiles.signedIn>[1]): Promise<SignedIn> => profiles.signedIn(profile, login);
  try {
    const signIn = await DeviceSignIn.begin({ authorizationServer, servers: core.authorizationServers, finish, clock });
    io.stderr.write(`Sign in for the profile "${profile}". ${signIn.instructions}\n`);
    const outcome = await Promise.race([signIn.outcome, untilShutdown(io)]);
    signIn.close();
    return conclude(profile, outcome ?? undefined, io);
  } catch (thrown) {
    return fail(asLatchkeyError(thrown), io);
  }
}

async function signInByBrowser(options: LoginOptions, server: string, side: LocalSide, io: CommandIo): Promise<ExitCode> {
  const { config, profile } = options;
  const { core, profiles, clock } = side;
  const signIn = await LoopbackSignIn.open({
    profile,
    authorizationServers: [server],
    port: config.authorizationServers[server]?.loopbackPort ?? 0,
    servers: core.authorizationServers,
    promptFor: (name) => profiles.promptFor(profile, name),
    finish: (login) => profiles.signedIn(profile, login),
    clock,
  });
  try {
    const address = await signIn.begin();
    io.stderr.write(`Sign in for the profile "${profile}" in a browser on this machine:\n${address}\n`);
    const isOpened = options.browser && io.stdinIsTerminal && io.stderrIsTerminal && (await openBrowser(address, io.platform));
    if (isOpened) io.stderr.write("It opens in your browser now. Ctrl+C gives up.\n");
    const outcome = await Promise.race([signIn.outcome, untilShutdown(io)]);
    return conclude(profile, outcome ?? undefined, io);
  } catch (thrown) {
    return fail(asLatchkeyError(thrown), io);
  } finally {
    signIn.close();
  }
}

/** `outcome` undefined: the user gave up. */
function conclude(profile: string, outcome: SignInOutcome | undefined, io: CommandIo): ExitCode {
  switch (outcome?.kind) {
    case "signed_in":
      return announce(profile, outcome.signedIn, io);
    case "failed":
      return fail(outcome.error, io);
    case "over":
      return complain("nobody signed in within ten minutes. Run it again.", io);
    case undefined:
      return complain("given up: nobody was signed in.", io);
  }
}

type ChosenServer = { readonly kind: "chosen"; readonly name: string } | { readonly kind: "problem"; readonly problem: string };

function chooseServer({ config, profile, authorizationServer: asked }: LoginOptions, state: ProfileState | undefined): ChosenServer {
  const names = Object.keys(config.authorizationServers);
  if (asked !== undefined && !names.includes(asked))
    return problem(`the configuration has no authorization server "${asked}".${didYouMean(asked, names)}`);
  const own = state?.record?.authorizationServer;
  if (asked !== undefined && own !== undefined && asked !== own && isSignedIn(state?.record))
    return problem(`the profile "${profile}" is signed in at ${own}: log it out first, or use another profile.`);
  const name = asked ?? own ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined) return problem(`say where to sign in: --authorization-server ${names.join(" or ")}.`);
  if (!names.includes(name)) return problem(`the profile "${profile}" was signed in at ${name}, which the configuration has no more.`);
  return { kind: "chosen", name };
}

function problem(text: string): ChosenServer {
  return { kind: "problem", problem: text };
}

function announce(profile: string, { kind, record }: SignedIn, io: CommandIo): ExitCode {
  const goesOn = kind === "repaired" ? " The login session goes on with new tokens." : "";
  io.stdout.write(`Signed in as ${nameOf(record)} at ${record.principal.issuer}, profile "${profile}".${goesOn}\n`);
  return 0;
}

function fail({ code, message }: LatchkeyError, io: CommandIo): ExitCode {
  return complain(`${message} (${code})`, io);
}

function complain(text: string, io: CommandIo): ExitCode {
  io.stderr.write(`latchkey login: ${text}\n`);
  return 1;
}
