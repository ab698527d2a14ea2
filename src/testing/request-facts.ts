import type { Target } from "./behaviour.ts";

/** What is known of a request before it is carried out. */
export interface RequestFacts {
  readonly target: Exclude<Target, "token" | "any">;
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
}

/** Whether a request there is one of those that are meant. */
export function isAt(wanted: Target, target: RequestFacts["target"]): boolean {
  if (wanted === "any" || wanted === target) return true;
  return wanted === "token" && (target === "code" || target === "refresh");
}
