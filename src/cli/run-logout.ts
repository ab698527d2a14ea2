import { isLocalStoreThere } from "../composition/local-side.ts";
import type { Config } from "../config/schema.ts";
import { nameOf } from "../local/profiles.ts";
import type { RevocationAnswer } from "../session/login-session.ts";
import type { CommandIo, ExitCode } from "./command.ts";
import { withLocalSide } from "./local-command.ts";

/** Runs `latchkey logout`. Throws LatchkeyError `configuration_invalid` and `store_unavailable`; nothing was ended then. */
export async function runLogout(config: Config, profile: string, io: CommandIo): Promise<ExitCode> {
  const ended = isLocalStoreThere(config) ? await withLocalSide(config, io, ({ profiles }) => profiles.logOut(profile)) : undefined;
  if (ended === undefined) {
    io.stdout.write(`Nobody is signed in in the profile "${profile}".\n`);
    return 0;
  }
  const { record, revocation } = ended;
  io.stdout.write(`${nameOf(record)} is signed out of the profile "${profile}". ${revocationText(revocation)}\n`);
  return 0;
}

function revocationText(revocation: RevocationAnswer): string {
  switch (revocation) {
    case "done":
      return "None of the tokens is alive at the authorization server any more.";
    case "pending":
      return "The authorization server has not revoked the tokens yet; every process that uses the store goes on asking.";
    case "shared":
      return "Another login session shares its grant at the authorization server: the tokens are revoked when the last of them ends.";
    case "unsupported":
      return "The authorization server cannot revoke tokens; they were forgotten here, and end by themselves.";
  }
}
