import type { Readable, Writable } from "node:stream";

/** The client's end of a stdio connection: hands each line that comes to whoever listens at the moment. */
export class Lines {
  readonly #output: Writable;
  #rest = "";
  onLine: ((line: string) => void) | undefined;

  constructor(input: Readable, output: Writable) {
    this.#output = output;
    input.setEncoding("latin1");
    input.on("data", (text: string) => this.#take(text));
  }

  /** `text` may hold several lines, each with its end. */
  send(text: string): void {
    this.#output.write(text, "latin1");
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.onLine?.(line);
  }
}

const firstId = 10_000_000;

/** Says hello as a client of 2025-11-25 does. */
export async function initialize(lines: Lines): Promise<void> {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1.0.0" } };
  const answered = new Promise((resolve) => {
    lines.onLine = resolve;
  });
  lines.send(`${JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params })}\n`);
  await answered;
  lines.send(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
}

/**
 * Calls `echo`, with so many calls in flight, until the time is up and all are answered; a new call goes out for each
 * answer. Gives how many were answered. Rejects at an answer that is none of the calls in flight, or is wrong.
 */
export function callEcho(lines: Lines, inFlight: number, milliseconds: number): Promise<number> {
  const text = "hello from stdio.";
  const call = JSON.stringify({ jsonrpc: "2.0", id: firstId, method: "tools/call", params: { name: "echo", arguments: { text } } });
  const [before = "", after = ""] = call.split(String(firstId));
  const waiting = new Set<string>();
  const until = performance.now() + milliseconds;
  let sent = 0;
  let answered = 0;
  const next = (): string => {
    sent += 1;
    const id = String(firstId + sent);
    waiting.add(id);
    return `${before}${id}${after}\n`;
  };
  return new Promise((resolve, reject) => {
    // Calls for the answers of one piece of input go out together, as those answers came.
    let outgoing = "";
    lines.onLine = (line) => {
      const id = /"id":(\d+)/.exec(line)?.[1] ?? "";
      if (!waiting.delete(id) || !line.includes(text)) {
        reject(new Error(`this was not expected: ${line}`));
        return;
      }
      answered += 1;
      if (performance.now() < until) {
        if (outgoing === "")
          queueMicrotask(() => {
            lines.send(outgoing);
            outgoing = "";
          });
        outgoing += next();
      } else if (waiting.size === 0) resolve(answered);
    };
    lines.send(Array.from({ length: inFlight }, next).join(""));
  });
}
