/** How much is at stake when a requirement is not met. A scenario has no severity of its own. */
export type Severity = "critical" | "high" | "medium" | "low";

export interface Requirement {
  readonly id: string;
  /** Undefined for a scenario. */
  readonly severity: Severity | undefined;
  /** What holds, in one line. */
  readonly statement: string;
}

/** What Latchkey promises from one end to the other. Each id is cited in the name of an end-to-end test. */
export const requirements: readonly Requirement[] = [
  {
    id: "R1",
    severity: "critical",
    statement: "A login session is refreshed by one request at a time, however many calls and heartbeats want it at once.",
  },
  {
    id: "R3",
    severity: "high",
    statement: "No connection is ever bound to a login session that has ended, whatever the order of connect and logout.",
  },
  {
    id: "R4",
    severity: "high",
    statement: "The heartbeat reads a login session again before it refreshes it; an ended one is never refreshed.",
  },
  {
    id: "R5",
    severity: "medium",
    statement: "When to refresh follows from the lifetimes of the tokens; a configuration without room for it is refused with both values.",
  },
  { id: "R6", severity: "medium", statement: "Readers of a login session see one snapshot, never a mixture of two refreshes." },
  {
    id: "R7",
    severity: "high",
    statement: "Logout revokes the tokens at the authorization server, and a login right after it raises no alarm there.",
  },
  {
    id: "R9",
    severity: "critical",
    statement:
      "There is no active session of the server: each connection acts for the login session of its own credential, and for no other.",
  },
  { id: "R11", severity: "low", statement: "Heartbeats of one login session never overlap, however slow the authorization server is." },
  { id: "R12", severity: "low", statement: "Login sessions can be listed while others begin and end." },
  {
    id: "R14",
    severity: "medium",
    statement: "A dead refresh token is presented once: then the login session needs a new sign-in, and says so.",
  },
  { id: "R15", severity: "low", statement: "Logout twice is answered like logout once." },
  {
    id: "R16",
    severity: "low",
    statement: "The console shows a user as signed out only when the server has confirmed it; else it says so and offers to try again.",
  },
  {
    id: "R17",
    severity: "low",
    statement:
      "An import is checked (signature, issuer, audience, expiry, subject) before anything is kept; a bad token makes no login session.",
  },
  {
    id: "R18",
    severity: "low",
    statement: "The console shows the health of each login session as the server knows it, pushed, and polled when pushing fails.",
  },
  { id: "S1", severity: undefined, statement: "Two browser windows of one user both work, each with a login session of its own." },
  { id: "S2", severity: undefined, statement: "Two browser windows of two users are kept apart, in one browser profile too." },
  { id: "S3", severity: undefined, statement: "A login right after a logout works, and no reuse is seen." },
  {
    id: "S4",
    severity: undefined,
    statement: "A logout during a running workflow stops it within a second, with a clear error and a clean end.",
  },
  { id: "S5", severity: undefined, statement: "Tokens are refreshed although the authorization server answers late." },
  {
    id: "S6",
    severity: undefined,
    statement:
      "While the authorization server is away, calls are served as long as tokens last, then told to come back; it recovers by itself.",
  },
];
