/** A fault, and what Latchkey does about it. */
export interface FaultRow {
  readonly id: string;
  readonly fault: string;
  readonly expected: string;
  /** Why there is no test of it yet: "not yet, because …". Undefined: a test whose name begins with the id shows it. */
  readonly notYet?: string;
}

/** The fault matrix: inject the fault, then expect. Each row is a test of this folder. */
export const faultMatrix: readonly FaultRow[] = [
  { id: "F1", fault: "50 callers at expiry and the heartbeat", expected: "1 POST, one token" },
  {
    id: "F2",
    fault: "3 replicas, one login session",
    expected: "1 POST, the others adopt",
  },
  {
    id: "F3",
    fault: "reply dropped after rotation, grace 30 s",
    expected: "the same token once more, `live`",
  },
  {
    id: "F4",
    fault: "reply dropped after rotation, no grace; with introspection / without",
    expected: "access token to its end; with it no reuse alarm, `login_required(lost_reply)`; without, one last presentation first",
  },
  { id: "F5", fault: "request dropped before it arrived", expected: "saved, `live`" },
  { id: "F6", fault: "connection refused, DNS", expected: "back off, attempt settled" },
  {
    id: "F7",
    fault: "kill -9 after the claim",
    expected: "after the restart it is a lost reply like any other",
  },
  {
    id: "F8",
    fault: "kill -9 after the reply, before the commit",
    expected: "the kept reply is found, `live`",
  },
  {
    id: "F9",
    fault: "store down after the reply",
    expected: "journal, retry, access token served",
  },
  {
    id: "F10",
    fault: "the commit's acknowledgement lost",
    expected: "the commit is idempotent by attempt id",
  },
  { id: "F11", fault: "SIGSTOP of the holder past its lease, then SIGCONT", expected: "a late answer like any other; no family killed" },
  { id: "F12", fault: "429 or 503 with Retry-After", expected: "waits, session kept" },
  {
    id: "F13",
    fault: "502, 504, HTML with 200, cut-off JSON; and 10 min of 502 without introspection, 5,000 sessions",
    expected: "ambiguous; none dead",
  },
  {
    id: "F14",
    fault: "`invalid_grant`, stored token unchanged",
    expected: "`login_required`, connections told",
  },
  {
    id: "F15",
    fault: "`invalid_grant`, a peer has rotated",
    expected: "the peer's token adopted",
  },
  { id: "F16", fault: "`invalid_client`", expected: "no session lost, issuer paused, alarm" },
  {
    id: "F17",
    fault: "early refresh refused with 400",
    expected: "access token served, retry near expiry",
  },
  {
    id: "F18",
    fault: "ID token with another subject / expired / bad signature / JWKS down; and a crash in between",
    expected: "never published, a restart included; verified later, or refused; no second POST",
  },
  {
    id: "F19",
    fault: "no refresh token in the reply, the same one, no `expires_in`, as a string, ten years",
    expected: "sane defaults, no timer overflow",
  },
  {
    id: "F20",
    fault: "logout before, during and after the POST, at every interleaving",
    expected: "no token served, no refresh started, late results revoked (I12)",
  },
  {
    id: "F21",
    fault: "revocation answers 503, then 200; unsupported",
    expected: "debt retried; logout has answered; pending shown",
  },
  {
    id: "F22",
    fault: "logout and login again within 1 s",
    expected: "no reuse alarm, the old flight touches nothing",
  },
  {
    id: "F23",
    fault: "two logins that share a grant at the authorization server; one logs out",
    expected: "the other lives, revocation waits",
  },
  {
    id: "F24",
    fault: "back-channel logout: valid, replayed, wrong audience, with nonce, by `sid`",
    expected: "200 and closed within 1 s; 400; only that `sid`",
  },
  {
    id: "F25",
    fault: "wall clock +-1 h, 8 h of sleep",
    expected: "one refresh on demand, no storm",
  },
  {
    id: "F26",
    fault: "10 s and 30 s tokens, 2 s latency",
    expected: "refreshed before they end (I14)",
  },
  {
    id: "F27",
    fault: "10 min outage with 5,000 sessions",
    expected: "the load is bounded (I13); all with a valid refresh token recover",
  },
  {
    id: "F28",
    fault: "authorization server takes 15 s, 5 min tokens, caller budget 8 s",
    expected: "typed retryable error; the POST completes and is used",
  },
  {
    id: "F29",
    fault: "the client disconnects during a refresh",
    expected: "committed all the same",
  },
  { id: "F30", fault: "SIGTERM during a refresh", expected: "drains, then exits" },
  {
    id: "F31",
    fault: "Bob's credential on Alice's connection, each verb and transport",
    expected: "404 as for an unknown id, audited, no byte on the other stream (B4)",
  },
  { id: "F32", fault: "a new bearer of the same login session", expected: "works" },
  {
    id: "F33",
    fault: "expired or no credential on an open stream",
    expected: "401 for new requests; the stream closes 5 min after its newest credential expired",
  },
  {
    id: "F34",
    fault: "login CSRF, replayed state, second browser; two users in two windows of one browser",
    expected: "refused; not mixed",
  },
  { id: "F35", fault: "two clients use the same JSON-RPC ids", expected: "no cross delivery" },
  {
    id: "F36",
    fault: "6 stdio processes, one login, random kills",
    expected: "as F2 and F7; the others adopt",
  },
  {
    id: "F37",
    fault: "no keychain; file mode 0644",
    expected: "encrypted fallback or refusal, never silent plain text",
  },
  {
    id: "F38",
    fault: "swapped rows, unknown key, one field rolled back",
    expected: "that session quarantined, the others unaffected",
  },
  { id: "F39", fault: "canary tokens through errors, logs, outputs", expected: "0 found" },
  {
    id: "F40",
    fault: "100,000 login and logout cycles",
    expected: "every map is back at its baseline (I16)",
  },
  {
    id: "F41",
    fault: "never rotates / same token back / absolute life of the refresh token",
    expected: "kept; limit known or learnt; no loop",
  },
  {
    id: "F42",
    fault: "dead refresh token answered by an empty 400",
    expected: "`login_required(refused)`, others unaffected",
  },
  { id: "F43", fault: "error code only in a challenge header", expected: "as its code" },
  {
    id: "F44",
    fault: "old access token dies at refresh, 20 calls in flight",
    expected: "each answered by the new one",
  },
  {
    id: "F45",
    fault: "second revocation answers 400; no revocation endpoint",
    expected: "logout done, said so",
  },
  {
    id: "F46",
    fault: "introspection always answers inactive (client not allowed)",
    expected: "not trusted; no live login killed",
  },
  {
    id: "F47",
    fault: "import: retried after a lost 201; expired ID token; another user's refresh token; consumed token",
    expected: "one record; accepted; refused; 409",
  },
  {
    id: "F48",
    fault: "store restored from a backup of two rotations ago",
    expected: "no mass presentation: recently refreshed rows begin `uncertain`",
  },
  {
    id: "F49",
    fault: "one client uses a JSON-RPC id twice while the first call runs",
    expected: "the second is refused, the first gets its own answer",
  },
];
