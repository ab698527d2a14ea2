import type { Target } from "./behaviour.ts";

/** What is known of a request before it is carried out. */
export interface RequestFacts {
  readonly target: Exclude<Target, "token" | "any">;
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
  /** Of the refresh token that it is about, as in the ledger; undefined: of none that this server issued. */
  readonly family: string | undefined;
  readonly generation: number | undefined;
}

/** Whether a request there is one of those that are meant. */
export function isAt(wanted: Target, target: RequestFacts["target"]): boolean {
  if (wanted === "any" || wanted === target) return true;
  return wanted === "token" && (target === "code" || target === "refresh");
}
