import type { JSONRPCRequest, RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { RunningCall } from "../mcp/served-connection.ts";

/** A request of the client from its arrival until its handler is done. */
export class Call implements RunningCall {
  readonly id: RequestId;
  readonly method: string;
  #isOpen = true;
  #keepsAnswer = false;
  /** Made when somebody looks: most calls are answered before anybody does. */
  #abort: AbortController | undefined;

  constructor({ id, method }: JSONRPCRequest) {
    this.id = id;
    this.method = method;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether its answer outlives the login session. */
  get keepsAnswer(): boolean {
    return this.#keepsAnswer;
  }

  keepAnswer(): void {
    this.#keepsAnswer = true;
  }

  releaseAnswer(): void {
    this.#keepsAnswer = false;
  }

  /** Whether its answer is the end of a stream: nobody waits for that. */
  get isStream(): boolean {
    return this.method === "subscriptions/listen";
  }

  /** It gets no answer, or no other answer, than it has. */
  finish(): void {
    this.#isOpen = false;
  }

  /** Tells the tool that nobody waits any more. `reason` is what its signal says. */
  abort(reason: Error): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }
}

/**
 * The calls of one connection. A call is open until it is answered or given up; its id stays taken until its handler
 * is done, or the late answer of an aborted call would be read as that of another one with the same id (F49).
 */
export class RunningCalls {
  readonly #calls = new Map<RequestId, Call>();
  readonly #waiting: (() => void)[] = [];
  #openCount = 0;

  /** How many wait for an answer; streams do not. */
  get openCount(): number {
    return this.#openCount;
  }

  get(id: RequestId): Call | undefined {
    return this.#calls.get(id);
  }

  /** The open ones. */
  open(): readonly Call[] {
    return [...this.#calls.values()].filter((call) => call.isOpen);
  }

  begin(request: JSONRPCRequest): void {
    const call = new Call(request);
    this.#calls.set(request.id, call);
    if (!call.isStream) this.#openCount += 1;
  }

  /** The handler is done. Gives the call if it still waits for the answer. */
  end(id: RequestId): Call | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call !== undefined && this.giveUp(call) ? call : undefined;
  }

  /** From now on nothing about this call may be delivered. False: that was so already. */
  giveUp(call: Call): boolean {
    if (!call.isOpen) return false;
    call.finish();
    if (call.isStream) return true;
    this.#openCount -= 1;
    if (this.#openCount === 0) for (const resolve of this.#waiting.splice(0)) resolve();
    return true;
  }

  /** Resolves when none waits for an answer. */
  settled(): Promise<void> {
    if (this.#openCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
