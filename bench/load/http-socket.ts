import { connect, type Socket } from "node:net";

export interface HttpAnswer {
  readonly status: number;
  readonly head: string;
  /** As it came, with the marks of its chunks. */
  readonly body: string;
}

/**
 * One keep-alive connection, one request at a time, as cheap as can be: the generator must not be the bottleneck. It
 * understands Content-Length and chunks, which is what the servers of these benches send, in ASCII.
 */
export class HttpSocket {
  readonly #socket: Socket;
  #received = "";
  #onAnswer: ((answer: HttpAnswer) => void) | undefined;
  #onGone: ((error: Error) => void) | undefined;

  /** `socket` is connected. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", (error) => this.#onGone?.(error));
    socket.on("close", () => this.#onGone?.(new Error("the server has closed the connection")));
  }

  static open(port: number): Promise<HttpSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("error", reject);
      socket.once("connect", () => resolve(new HttpSocket(socket)));
    });
  }

  /** `onGone`: the connection broke before the answer was whole. */
  send(request: string, onAnswer: (answer: HttpAnswer) => void, onGone: (error: Error) => void): void {
    this.#onAnswer = onAnswer;
    this.#onGone = onGone;
    this.#socket.write(request, "latin1");
  }

  ask(request: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => this.send(request, resolve, reject));
  }

  /** Resolves when the head of the answer has come; the rest is thrown away, and nothing else can be sent. */
  begin(request: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onGone = reject;
      this.#socket.removeAllListeners("data");
      this.#socket.once("data", (text: string) => {
        if (text.startsWith("HTTP/1.1 200")) resolve();
        else reject(new Error(`a stream was answered with ${text}`));
        this.#socket.resume();
      });
      this.#socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#onGone = undefined;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received = this.#received === "" ? text : this.#received + text;
    const received = this.#received;
    const end = received.indexOf("\r\n\r\n");
    if (end === -1) return;
    const head = received.slice(0, end);
    const length = /\ncontent-length: *(\d+)/i.exec(head)?.[1];
    // Nothing is sent before the answer is whole, so the last chunk is at the end of what has come.
    if (length === undefined ? !received.endsWith("\r\n0\r\n\r\n") : received.length < end + 4 + Number(length)) return;
    this.#received = "";
    const answered = this.#onAnswer;
    this.#onGone = undefined;
    answered?.({ status: Number(head.slice(9, 12)), head, body: received.slice(end + 4) });
  }
}
