import type { Ledger } from "../../src/testing/index.ts";

/** What is counted. `rotated`: a presentation that was answered with tokens, also where the refresh token stayed the same. */
export type Counted = "presented" | "rotated" | "replayed" | "reuse" | "refused" | "introspected" | "revoked";

/** How often it happened at the authorization server, to one user where one is named. */
export function countIn(
  { refreshes, reuseEvents, introspections, revocations, families }: Ledger,
  kind: Counted,
  subject?: string,
): number {
  const isTheirs = (family: string | undefined): boolean =>
    subject === undefined || families.some((each) => each.family === family && each.subject === subject);
  switch (kind) {
    case "presented":
      return refreshes.filter(({ family }) => isTheirs(family)).length;
    case "rotated":
      return refreshes.filter(({ family, outcome }) => isTheirs(family) && (outcome === "rotated" || outcome === "kept")).length;
    case "replayed":
    case "refused":
      return refreshes.filter(({ family, outcome }) => isTheirs(family) && outcome === kind).length;
    case "reuse":
      return reuseEvents.filter(({ family }) => isTheirs(family)).length;
    case "introspected":
      return introspections.filter(({ family }) => isTheirs(family)).length;
    case "revoked":
      return revocations.filter((each) => isTheirs(each.family) && each.kind === "refresh_token").length;
  }
}
