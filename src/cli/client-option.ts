import { didYouMean } from "../config/spelling.ts";
import { type LocalClient, localClients } from "../local/clients.ts";
import { defaultProfile } from "./profile-option.ts";

const names = Object.keys(localClients);

/** The names of clients, for a help text. */
export const clientNames = names.join("|");

/** The client of this name; undefined: there is none. */
export function clientNamed(name: string | undefined): LocalClient | undefined {
  return Object.values(localClients).find((client) => client.name === name);
}

/** What is wrong with a client's name. */
export function clientProblems(name: string | undefined): readonly string[] {
  if (name === undefined) return [`say which client: ${names.slice(0, -1).join(", ")} or ${names.at(-1)}.`];
  return clientNamed(name) === undefined
    ? [`"${name}" is no client that is known: say ${names.join(", ")}.${didYouMean(name, names)}`]
    : [];
}

/** The name of the entry for a profile: each profile is a server of its own to a client. */
export function entryName(profile: string): string {
  return profile === defaultProfile ? "latchkey" : `latchkey-${profile}`;
}
