import type { AuthorizationServerPolicy } from "../../src/token/ports.ts";

/** How one simulated authorization server behaves, and what the configuration says of it. */
export interface ServerTraits {
  readonly name: string;
  readonly accessTokenSeconds: number;
  /** `new`: every refresh spends the token. `same`: it comes back. `none`: the reply has no refresh token at all. */
  readonly returns: "new" | "same" | "none";
  /** A spent token is answered within this time of its first use. */
  readonly graceMs?: number | undefined;
  /** What it is answered with: the same successor again, or a second one beside the first. */
  readonly withinGrace: "replay" | "second_child";
  /** How long a refresh token is good for: from its own issue, or from the login. */
  readonly refreshToken?: { readonly seconds: number; readonly counts: "sliding" | "absolute"; readonly announced: boolean } | undefined;
  /** `denies`: it answers "inactive" to everything, since this client may not ask. */
  readonly introspection: "works" | "denies" | "none";
  readonly revocation: "works" | "unsupported";
  /** How it says that a refresh token is dead. */
  readonly deadAnswer: "invalid_grant" | "empty_400";
  readonly policy?: Partial<AuthorizationServerPolicy> | undefined;
}

const strict = {
  accessTokenSeconds: 300,
  returns: "new",
  withinGrace: "replay",
  introspection: "none",
  revocation: "works",
  deadAnswer: "invalid_grant",
} as const;

/** The authorization servers of a simulated world: each run has all of them at once. */
export const allServers: readonly ServerTraits[] = [
  { ...strict, name: "strict" },
  { ...strict, name: "strict-short", accessTokenSeconds: 30 },
  { ...strict, name: "introspecting", introspection: "works" },
  { ...strict, name: "introspecting-short", accessTokenSeconds: 30, introspection: "works" },
  { ...strict, name: "denying", introspection: "denies" },
  { ...strict, name: "grace", graceMs: 30_000, policy: { reuseLeewaySeconds: 30 } },
  { ...strict, name: "grace-two-children", graceMs: 30_000, withinGrace: "second_child", policy: { reuseLeewaySeconds: 30 } },
  { ...strict, name: "same-back", returns: "same" },
  { ...strict, name: "never-rotates", returns: "none", policy: { rotation: "never" } },
  { ...strict, name: "absolute", refreshToken: { seconds: 6 * 3600, counts: "absolute", announced: true } },
  { ...strict, name: "sliding", introspection: "works", refreshToken: { seconds: 1800, counts: "sliding", announced: true } },
  { ...strict, name: "sliding-short", refreshToken: { seconds: 200, counts: "sliding", announced: true } },
  { ...strict, name: "retiring", policy: { lostReply: "retire" } },
  { ...strict, name: "silent-refuser", deadAnswer: "empty_400", revocation: "unsupported" },
];
