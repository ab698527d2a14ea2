import type { OptionSpec } from "./options.ts";

/** The profile that is meant when none is named. */
export const defaultProfile = "default";

/** `--profile`, for the commands of the local side. */
export const profileOption: OptionSpec = {
  placeholder: "NAME",
  description: `The local profile whose login session is used. Default: ${defaultProfile}.`,
};

/** What is wrong with a profile's name. That it has none was said when the options were read. */
export function profileProblems(profile: string | undefined): readonly string[] {
  if (profile === undefined || profile === "" || /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(profile)) return [];
  return [`--profile takes 1 to 64 letters, digits, "_" and "-", not "${profile}".`];
}
