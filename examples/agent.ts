/**
 * An MCP client that runs a workflow of several tool calls against Latchkey's demo, as a script would:
 *
 *   npm start                                         # in one terminal
 *   npx node examples/agent.ts --rounds 10 --pause 5  # in another: minutes of 30 s access tokens
 *   npx node examples/agent.ts --help
 *
 * It shows what a client has to do when the login session ends in the middle: read the error's code, stop, and tell
 * its user where to sign in again.
 */
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport, SseError } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";

const help = `Usage: npx node examples/agent.ts [options]

Calls whoami, add_note, list_notes, slow_report, delete_note and session_status in turn, as one user.

  --transport stdio|sse|http   how to reach Latchkey (default: http, which is Streamable HTTP)
  --url URL                    the running demo, for sse and http (default: http://127.0.0.1:8420)
  --key KEY                    a connection key, for sse and http (default: $LATCHKEY_KEY, else lk_demo_alice)
  --as NAME                    the demo user, for stdio, which starts a demo of its own (default: alice)
  --rounds N                   how often to run the workflow (default: 1)
  --pause SECONDS              the wait between two rounds (default: 0)
  --help                       this text

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the user has to sign in (again): the login session has ended or needs
a new sign-in, or its connection key is not accepted any more.

Example: npx node examples/agent.ts --transport sse --key lk_demo_bob --rounds 3 --pause 20
`;

type Options =
  | { readonly transport: "stdio"; readonly user: string; readonly rounds: number; readonly pauseSeconds: number }
  | { readonly transport: "sse" | "http"; readonly url: URL; readonly key: string; readonly rounds: number; readonly pauseSeconds: number };

type Usage =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly problems: readonly string[] };

type ToolAnswer = Awaited<ReturnType<Client["callTool"]>>;
type Fields = Readonly<Record<string, unknown>>;

/** The user has to sign in again: no program can go on by itself. */
class SignInNeeded extends Error {
  readonly code: string;
  readonly loginUrl: string | undefined;

  constructor(code: string, message: string, loginUrl: string | undefined) {
    super(message);
    this.code = code;
    this.loginUrl = loginUrl;
  }
}

/** A connection, and a promise that rejects when it is lost. */
interface Connection {
  readonly client: Client;
  readonly lost: Promise<never>;
  /** What the server said on stderr last; stdio only. */
  complaints(): string;
  close(): Promise<void>;
}

async function main(argv: readonly string[]): Promise<number> {
  const usage = readUsage(argv);
  switch (usage.kind) {
    case "help":
      process.stdout.write(help);
      return 0;
    case "wrong":
      process.stderr.write(`${usage.problems.join("\n")}\nTry: npx node examples/agent.ts --help\n`);
      return 2;
    case "run":
      return run(usage.options);
  }
}

async function run(options: Options): Promise<number> {
  const workflow = new Workflow(options);
  try {
    await workflow.run();
    say(`done: ${workflow.calls} calls in ${options.rounds} round${options.rounds === 1 ? "" : "s"}, none failed`);
    return 0;
  } catch (error) {
    say(`\nstopped at ${workflow.where}, after ${workflow.calls} calls`);
    if (error instanceof SignInNeeded) {
      say(`code: ${error.code}\n${error.message}`);
      say(`to sign in again: ${howToSignIn(options, error.loginUrl)}`);
      return 3;
    }
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

class Workflow {
  /** Calls that were answered well. */
  calls = 0;
  /** The step under way, for people. */
  where = "the connection";
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const connection = await connect(this.#options);
    try {
      const server = connection.client.getServerVersion();
      say(`connected to ${server?.name ?? "a server"} ${server?.version ?? ""} over ${this.#options.transport}`);
      for (let round = 1; round <= this.#options.rounds; round += 1) {
        if (round > 1) {
          this.where = `the pause before round ${round}`;
          await waitOn(connection, this.#options.pauseSeconds);
        }
        say(`round ${round} of ${this.#options.rounds}`);
        await this.#round(connection, round);
      }
    } catch (error) {
      throw await explain(error, connection, this.#options);
    } finally {
      await connection.close();
    }
  }

  async #round(connection: Connection, round: number): Promise<void> {
    const text = `round ${round} of the agent with pid ${process.pid}`;
    await this.#call(connection, round, "whoami", {});
    const added = await this.#call(connection, round, "add_note", { text });
    const listed = await this.#call(connection, round, "list_notes", {});
    const note = notesIn(listed).find((each) => each.text === text);
    if (note === undefined) throw new Error("The note that was just added is not in the list.");
    await this.#call(connection, round, "slow_report", { seconds: 2 });
    await this.#call(connection, round, "delete_note", { id: notesIn(added)[0]?.id ?? note.id });
    await this.#call(connection, round, "session_status", {});
  }

  async #call(connection: Connection, round: number, name: string, args: Fields): Promise<ToolAnswer> {
    this.where = `${name} in round ${round}`;
    for (let attempt = 1; ; attempt += 1) {
      const startedAt = performance.now();
      const call = connection.client.callTool({ name, arguments: { ...args } }, undefined, {
        timeout: 60_000,
        resetTimeoutOnProgress: true,
        onprogress: ({ progress, total, message }) =>
          say(`    ${name}: ${progress}${total === undefined ? "" : ` of ${total}`}${message === undefined ? "" : `, ${message}`}`),
      });
      const answer = await Promise.race([call, connection.lost]);
      if (answer.isError !== true) {
        this.calls += 1;
        say(`  ${name} (${Math.round(performance.now() - startedAt)} ms): ${firstLines(answer)}`);
        return answer;
      }
      const { code, retryAfterSeconds, loginUrl } = errorOf(answer);
      if (code === "login_required" || code === "login_ended") throw new SignInNeeded(code, textOf(answer), loginUrl);
      // With these two nothing has reached the API yet, so that even add_note is safe to repeat.
      const waits = code === "refresh_timeout" || code === "authorization_server_unavailable";
      if (!waits || attempt === 5) throw new Error(textOf(answer));
      say(`  ${name}: ${code}, once more in ${retryAfterSeconds ?? attempt} s`);
      await waitOn(connection, retryAfterSeconds ?? attempt);
    }
  }
}

/** Waits, but no longer than the connection lasts. */
async function waitOn(connection: Connection, seconds: number): Promise<void> {
  const stop = new AbortController();
  try {
    await Promise.race([pause(seconds * 1000, undefined, { signal: stop.signal }), connection.lost]);
  } finally {
    // A timer that nobody waits for would keep the process alive.
    stop.abort();
  }
}

async function connect(options: Options): Promise<Connection> {
  let lose: (reason: unknown) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    lose = reject;
  });
  // It may happen while nobody waits for it; whoever waits next hears of it.
  lost.catch(() => {});
  const client = new Client({ name: "latchkey-example-agent", version: "1.0.0" });
  const { transport, end, complaints } = createTransport(options, lose);
  let closing = false;
  client.onclose = () => lose(new Error("The connection was closed."));
  client.onerror = (error) => {
    // A legacy SSE stream that broke takes the answers of its running calls with it. Other errors are harmless.
    if (error instanceof SseError && !closing) lose(error);
  };
  const close = async (): Promise<void> => {
    closing = true;
    await end().catch(() => {});
    await client.close();
  };
  try {
    await Promise.race([client.connect(transport), lost]);
  } catch (error) {
    const reason = await explain(error, { complaints }, options);
    await close();
    throw reason;
  }
  return { client, lost, complaints, close };
}

interface OwnTransport {
  readonly transport: Transport;
  end(): Promise<void>;
  complaints(): string;
}

function createTransport(options: Options, lose: (reason: unknown) => void): OwnTransport {
  if (options.transport === "stdio") return stdioTransport(options.user);
  const { url, key } = options;
  const headers = { authorization: `Bearer ${key}` };
  const watched: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401) lose(await refusedKey(response.clone()));
    return response;
  };
  const nothing = { end: async () => {}, complaints: () => "" };
  if (options.transport === "sse")
    return { ...nothing, transport: new SSEClientTransport(below(url, "sse"), { requestInit: { headers }, fetch: watched }) };
  const transport = new StreamableHTTPClientTransport(below(url, "mcp"), { requestInit: { headers }, fetch: watched });
  return { ...nothing, transport, end: () => transport.terminateSession() };
}

function stdioTransport(user: string): OwnTransport {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const args = ["bin/latchkey.js", "stdio", "--demo", "--as", user];
  const transport = new StdioClientTransport({ command: process.execPath, args, cwd: root, stderr: "pipe" });
  const lines: string[] = [];
  transport.stderr?.on("data", (chunk: Buffer) => {
    lines.push(
      ...chunk
        .toString("utf8")
        .split("\n")
        .filter((line) => line !== ""),
    );
    lines.splice(0, lines.length - 10);
  });
  return { transport, end: async () => {}, complaints: () => lines.join("\n") };
}

/** What a failure means. Over HTTP a dead login shows as a refused key, so the server is asked whether it still knows it. */
async function explain(error: unknown, connection: Pick<Connection, "complaints">, options: Options): Promise<unknown> {
  if (error instanceof SignInNeeded) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (options.transport === "stdio") {
    const complaints = connection.complaints();
    return new Error(complaints === "" ? message : `${message}\nThe server's last words:\n${complaints}`);
  }
  try {
    // DELETE without a connection's id does nothing but show whether the key is accepted.
    const response = await fetch(below(options.url, "mcp"), { method: "DELETE", headers: { authorization: `Bearer ${options.key}` } });
    if (response.status === 401) return await refusedKey(response);
    await response.body?.cancel();
    return error;
  } catch {
    return new Error(`${message}\n${options.url.origin} does not answer. Is the demo running? Start it with: npm start`);
  }
}

async function refusedKey(response: Response): Promise<SignInNeeded> {
  const problem: unknown = await response.json().catch(() => undefined);
  const detail = stringIn(problem, "detail") ?? "The connection key is not accepted: its login session has ended, or it never was one.";
  return new SignInNeeded(stringIn(problem, "code") ?? "unauthorized", detail, undefined);
}

function howToSignIn(options: Options, loginUrl: string | undefined): string {
  if (options.transport === "stdio") return loginUrl ?? "run this again; a demo over stdio signs its user in by itself";
  if (loginUrl !== undefined) return `open ${loginUrl}`;
  return `open ${below(options.url, "login")}, make a connection key on the page, and run this again with --key`;
}

const optionNames = ["transport", "url", "key", "as", "rounds", "pause"] as const;

function readUsage(argv: readonly string[]): Usage {
  const { help, given, problems } = readOptions(argv);
  if (help) return { kind: "help" };
  const transport = given.get("transport") ?? "http";
  const key = given.get("key") ?? process.env.LATCHKEY_KEY ?? "lk_demo_alice";
  const url = URL.parse(given.get("url") ?? "http://127.0.0.1:8420");
  const rounds = Number(given.get("rounds") ?? "1");
  const pauseSeconds = Number(given.get("pause") ?? "0");
  if (transport !== "stdio" && transport !== "sse" && transport !== "http") problems.push("--transport must be stdio, sse or http");
  if (url === null || !/^https?:$/.test(url.protocol)) problems.push("--url must be an http or https address");
  if (!/^[\x21-\x7e]+$/.test(key)) problems.push("--key must be a connection key");
  if (!Number.isInteger(rounds) || rounds < 1) problems.push("--rounds must be a whole number, 1 or more");
  if (!(pauseSeconds >= 0 && pauseSeconds <= 86_400)) problems.push("--pause must be a number of seconds from 0 to 86400");
  for (const name of transport === "stdio" ? ["url", "key"] : ["as"])
    if (given.has(name)) problems.push(`--${name} does not go with --transport ${transport}`);
  if (problems.length > 0 || url === null) return { kind: "wrong", problems };
  const common = { rounds, pauseSeconds };
  if (transport === "stdio") return { kind: "run", options: { transport, user: given.get("as") ?? "alice", ...common } };
  return { kind: "run", options: { transport: transport === "sse" ? "sse" : "http", url, key, ...common } };
}

/** What was given by name, and what is no option or lacks its value. */
function readOptions(argv: readonly string[]): {
  readonly help: boolean;
  readonly given: ReadonlyMap<string, string>;
  readonly problems: string[];
} {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: { help: { type: "boolean" }, ...Object.fromEntries(optionNames.map((name) => [name, { type: "string" as const }])) },
  });
  const problems: string[] = [];
  const given = new Map<string, string>();
  let help = false;
  for (const token of tokens) {
    if (token.kind === "positional") problems.push(`unexpected argument: ${token.value}`);
    if (token.kind !== "option") continue;
    if (token.name === "help") help = true;
    else if (!optionNames.some((name) => name === token.name)) problems.push(`unknown option: ${token.rawName}`);
    else if (token.value === undefined || token.value === "") problems.push(`${token.rawName} needs a value`);
    else given.set(token.name, token.value);
  }
  return { help, given, problems };
}

/** The notes in an answer, whether it is a list, an object that holds one, or a single note. */
function notesIn(answer: ToolAnswer): readonly { readonly id: unknown; readonly text: unknown }[] {
  const candidates: unknown[] = [answer.structuredContent];
  if (isFields(answer.structuredContent)) candidates.push(...Object.values(answer.structuredContent));
  return candidates
    .flat()
    .filter(isFields)
    .filter((each) => "id" in each)
    .map(({ id, text }) => ({ id, text }));
}

function errorOf(answer: ToolAnswer): { readonly code: string; readonly retryAfterSeconds?: number; readonly loginUrl?: string } {
  const error = answer._meta?.["latchkey/error"];
  const seconds = isFields(error) ? error.retryAfterSeconds : undefined;
  const loginUrl = stringIn(error, "loginUrl");
  return {
    code: stringIn(error, "code") ?? "unknown",
    ...(typeof seconds === "number" ? { retryAfterSeconds: seconds } : {}),
    ...(loginUrl === undefined ? {} : { loginUrl }),
  };
}

function textOf(answer: ToolAnswer): string {
  if (!Array.isArray(answer.content)) return "";
  return answer.content.map((part: unknown) => stringIn(part, "text") ?? "").join("\n");
}

function firstLines(answer: ToolAnswer): string {
  const line = textOf(answer).replace(/\s+/g, " ").trim();
  return line.length > 110 ? `${line.slice(0, 107)}...` : line;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stringIn(value: unknown, name: string): string | undefined {
  const found = isFields(value) ? value[name] : undefined;
  return typeof found === "string" ? found : undefined;
}

function below(url: URL, path: string): URL {
  return new URL(path, url.href.endsWith("/") ? url : `${url.href}/`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

// Last, when all classes above exist.
process.exitCode = await main(process.argv.slice(2));
