// The load of the benches over HTTP, in a process of its own.
import { z } from "zod";
import { answerParent } from "../measuring/answer-parent.ts";
import { type HttpAnswer, HttpSocket } from "./http-socket.ts";
import { type Endpoint, echoRequests, getStream, type OpenedConnection, openConnection } from "./mcp-requests.ts";

const openSchema = z.object({
  target: z.string(),
  port: z.number(),
  accept: z.string(),
  connections: z.number(),
  /** One for each connection in turn; empty: no credential. */
  keys: z.array(z.string()),
});

const runSchema = z.object({
  target: z.string(),
  sockets: z.number(),
  milliseconds: z.number(),
  /** On each socket, at most. Default: as many as the time allows. */
  calls: z.number().default(Number.MAX_SAFE_INTEGER),
  /** False: the answer is always the same, and only its status is looked at. */
  checked: z.boolean(),
});

/** One connection and how its next request is made. */
interface Caller {
  readonly connection: OpenedConnection;
  readonly text: string;
  readonly next: ReturnType<typeof echoRequests>;
}

const targets = new Map<string, { readonly port: number; readonly callers: Caller[] }>();

/** Held, or they would be collected and closed. */
const streams: HttpSocket[] = [];

answerParent({
  /** Opens connections, one after the other. A second time with the same target adds more. */
  async open(body) {
    const { target, port, accept, connections, keys } = openSchema.parse(body);
    const callers = targets.get(target)?.callers ?? [];
    targets.set(target, { port, callers });
    const socket = await HttpSocket.open(port);
    for (let index = 0; index < connections; index += 1) {
      const endpoint: Endpoint = { port, accept, key: keys[index % keys.length] };
      callers.push(caller(await openConnection(socket, endpoint), `hello from ${callers.length}.`));
    }
    socket.close();
    return {};
  },

  /** Calls `echo` on all connections in turn, one call at a time on each socket. */
  async run(body) {
    const { target, sockets, milliseconds, calls, checked } = runSchema.parse(body);
    const { port = 0, callers = [] } = targets.get(target) ?? {};
    const opened = await Promise.all(Array.from({ length: Math.min(sockets, callers.length) }, () => HttpSocket.open(port)));
    const begun = performance.now();
    const shares = opened.map((socket, lane) =>
      load(
        socket,
        callers.filter((_caller, index) => index % opened.length === lane),
        { until: begun + milliseconds, calls, checked },
      ),
    );
    const answered = (await Promise.all(shares)).reduce((sum, each) => sum + each, 0);
    const elapsedMilliseconds = performance.now() - begun;
    for (const socket of opened) socket.close();
    return { answered, elapsedMilliseconds };
  },

  /** Opens the standalone stream of each connection, on a socket of its own, and leaves it open. */
  async stream(body) {
    const { target } = z.object({ target: z.string() }).parse(body);
    const { port = 0, callers = [] } = targets.get(target) ?? {};
    for (const { connection } of callers) {
      const socket = await HttpSocket.open(port);
      await socket.begin(getStream(connection));
      streams.push(socket);
    }
    return {};
  },
});

function caller(connection: OpenedConnection, text: string): Caller {
  return { connection, text, next: echoRequests(connection, text) };
}

interface Limits {
  readonly until: number;
  readonly calls: number;
  readonly checked: boolean;
}

/** How many calls were answered on one socket within the limits. Rejects at the first wrong answer. */
function load(socket: HttpSocket, callers: readonly Caller[], { until, calls, checked }: Limits): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = 0;
    const next = (): void => {
      const who = callers[answered % callers.length];
      if (who === undefined || answered >= calls || performance.now() >= until) {
        resolve(answered);
        return;
      }
      const { request, id } = who.next();
      const onAnswer = ({ status, body }: HttpAnswer): void => {
        if (status !== 200 || (checked && !(body.includes(`"id":${id}`) && body.includes(who.text)))) {
          reject(new Error(`a call was answered with ${status}: ${body}`));
          return;
        }
        answered += 1;
        next();
      };
      socket.send(request, onAnswer, reject);
    };
    next();
  });
}
