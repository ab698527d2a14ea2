import type { LoginSessionStatus, SignOutRevocation, Tool, ToolPrincipal, ToolResult } from "./tool.ts";

const noInput = { type: "object", properties: {}, additionalProperties: false } as const;
const text = { type: "string" } as const;
const time = { type: "string", format: "date-time" } as const;

const whoami: Tool = {
  name: "whoami",
  title: "Who am I",
  description: "Tells which signed-in user this connection acts for.",
  inputSchema: noInput,
  outputSchema: {
    type: "object",
    properties: {
      issuer: { ...text, description: "The authorization server at which the user signed in." },
      subject: { ...text, description: "The user's stable id there." },
      name: text,
      email: text,
    },
    required: ["issuer", "subject"],
    additionalProperties: false,
  },
  annotations: { title: "Who am I", readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  run: async (_args, context) => {
    const { issuer, subject, name, email } = context.principal;
    return answer(describeUser(context.principal), { issuer, subject, name, email });
  },
};

const sessionStatus: Tool = {
  name: "session_status",
  title: "Login session status",
  description:
    "Tells how the login session of this connection stands: its state, when the access token expires, the last and the next refresh, and the clients seen in the last 15 minutes.",
  inputSchema: noInput,
  outputSchema: {
    type: "object",
    properties: {
      login: { ...text, description: "The public handle of the login session." },
      state: { ...text, enum: ["live", "refreshing", "uncertain", "login_required", "ended"] },
      reason: { ...text, description: "Why the state is login_required or ended." },
      accessTokenExpiresAt: time,
      lastRefreshAt: time,
      nextRefreshAt: time,
      note: { ...text, description: "What to know when it is not well." },
      clock: { ...text, description: "Said when the clock of Latchkey's machine is far off." },
      clients: {
        type: "array",
        items: {
          type: "object",
          properties: { name: text, version: text, transport: text, lastSeenAt: time },
          required: ["name", "transport", "lastSeenAt"],
          additionalProperties: false,
        },
      },
    },
    required: ["login", "state", "clients"],
    additionalProperties: false,
  },
  annotations: { title: "Login session status", readOnlyHint: true, openWorldHint: false },
  run: async (_args, context) => {
    const status = await context.status();
    const clients = status.clients.map((client) => present({ ...client }));
    return answer(describeStatus(status), { ...status, clients });
  },
};

const signOut: Tool = {
  name: "sign_out",
  title: "Sign out",
  description:
    "Signs the user out: ends the login session of this connection, revokes its tokens at the authorization server and closes every connection that is bound to it. It cannot be undone; the user has to sign in again.",
  inputSchema: noInput,
  outputSchema: {
    type: "object",
    properties: {
      state: { ...text, description: "The state that the login session reached." },
      revocation: { ...text, enum: ["pending", "done", "shared", "unsupported"] },
    },
    required: ["state", "revocation"],
    additionalProperties: false,
  },
  annotations: { title: "Sign out", readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  run: async (_args, context) => {
    const { state, revocation } = await context.signOut();
    return answer(`Signed out: the login session is ${state}. ${describeRevocation(revocation)}`, { state, revocation });
  },
};

/** The tools that every server has: `whoami`, `session_status`, `sign_out`. */
export const sessionTools: readonly Tool[] = [whoami, sessionStatus, signOut];

/** The structured content as text too, for clients that know text alone (MCP, Tools, Structured Content); then in words. */
function answer(sentence: string, fields: Readonly<Record<string, unknown>>): ToolResult {
  const structured = present(fields);
  return {
    content: [
      { type: "text", text: JSON.stringify(structured, null, 2) },
      { type: "text", text: sentence },
    ],
    structured,
  };
}

/** Without the fields that are undefined: a schema validator takes them for values of a wrong type. */
function present(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function describeUser({ issuer, subject, name, email }: ToolPrincipal): string {
  const who = name ?? email ?? subject;
  const more = [email, subject].filter((part) => part !== undefined && part !== who);
  return `You act for ${who}${more.length > 0 ? ` (${more.join(", ")})` : ""}, signed in at ${issuer}.`;
}

function describeStatus(status: LoginSessionStatus): string {
  const lines = [
    `Login session ${status.login}: ${status.state}${status.reason === undefined ? "" : ` (${status.reason})`}.`,
    status.accessTokenExpiresAt && `Access token expires: ${status.accessTokenExpiresAt}.`,
    status.lastRefreshAt && `Last refresh: ${status.lastRefreshAt}.`,
    status.nextRefreshAt && `Next refresh: ${status.nextRefreshAt}.`,
    status.note,
    status.clock,
    status.clients.length > 0 && `Clients seen in the last 15 minutes: ${status.clients.map(describeClient).join("; ")}.`,
  ];
  return lines.filter((line) => typeof line === "string").join("\n");
}

function describeClient({ name, version, transport, lastSeenAt }: LoginSessionStatus["clients"][number]): string {
  return `${name}${version === undefined ? "" : ` ${version}`} over ${transport}, ${lastSeenAt}`;
}

function describeRevocation(revocation: SignOutRevocation): string {
  switch (revocation) {
    case "done":
      return "None of its tokens is alive at the authorization server any more.";
    case "pending":
      return "Its tokens are being revoked at the authorization server; that is repeated until it is done.";
    case "shared":
      return "Another login session shares its grant at the authorization server, so the tokens are revoked when the last of them ends.";
    case "unsupported":
      return "The authorization server cannot revoke tokens; Latchkey has forgotten them, and they end by themselves.";
  }
}
