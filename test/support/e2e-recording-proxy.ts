import { connect, createServer, type Server, type Socket } from "node:net";

/** Everything that went over one TCP connection, in both directions. */
interface Transcript {
  sent: string;
  received: string;
}

/** Passes TCP connections on and writes down every byte: what clients sent, and what they received. */
export class RecordingProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #transcripts: Transcript[] = [];
  #target: URL | undefined;
  #asTarget = false;

  constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    this.url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    server.on("connection", (client) => this.#pass(client));
  }

  /** Listens on a free port; it passes on as soon as it has a target. */
  static async start(): Promise<RecordingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new RecordingProxy(server);
  }

  /** `asTarget`: requests name the target as their host, for a server that takes no other name. */
  passTo(url: string, { asTarget = false } = {}): void {
    this.#target = new URL(url);
    this.#asTarget = asTarget;
  }

  /** What clients sent, one text a connection. */
  get sent(): readonly string[] {
    return this.#transcripts.map(({ sent }) => joinChunks(sent));
  }

  /** What clients received, one text a connection. */
  get received(): readonly string[] {
    return this.#transcripts.map(({ received }) => joinChunks(received));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(client: Socket): void {
    const target = this.#target;
    if (target === undefined) {
      client.destroy();
      return;
    }
    const transcript: Transcript = { sent: "", received: "" };
    this.#transcripts.push(transcript);
    const server = connect(Number(target.port), target.hostname);
    client.on("data", (chunk) => {
      const text = this.#renamed(chunk.toString("latin1"), target);
      transcript.sent += text;
      server.write(text, "latin1");
    });
    server.on("data", (chunk) => {
      transcript.received += chunk.toString("latin1");
    });
    client.on("end", () => server.end());
    server.pipe(client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        other.destroy();
        this.#sockets.delete(socket);
      });
    }
  }

  #renamed(text: string, target: URL): string {
    return this.#asTarget ? text.replace(new RegExp(`^host: ${new URL(this.url).host}`, "gim"), `host: ${target.host}`) : text;
  }
}

/** Chunk by chunk as HTTP/1.1 sends it, a secret could stand across two: without the sizes in between it is whole. */
function joinChunks(text: string): string {
  return text.replace(/\r\n[0-9a-f]{1,8}\r\n/gi, "");
}
