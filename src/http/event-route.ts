import { LatchkeyError } from "../errors.ts";
import type { LoginSession } from "../session/login-session.ts";
import { EventStream, streamHeaders } from "./event-stream.ts";
import { LoginSessionFeed } from "./login-session-feed.ts";
import type { Route } from "./route.ts";
import { sessionJson } from "./session-json.ts";
import type { WebServices } from "./web-services.ts";
import type { BrowserWindow, Windows } from "./windows.ts";

const streamsPerUser = 50;
const streamsInAll = 5_000;

/**
 * `GET /api/events`: the login sessions of the window's user as they change. First `snapshot`, then `session` for each
 * change, at the end `ended` when the window's own login session has ended. EventSource cannot set a header, so the
 * window may name its login session as `?login=HANDLE`.
 */
export function eventRoute(services: WebServices, windows: Windows): Route {
  const feed = new LoginSessionFeed(services.sessions);
  const open = new Set<EventStream>();
  services.closing?.addEventListener("abort", () => {
    for (const stream of [...open]) stream.close();
  });
  return {
    method: "GET",
    path: "/api/events",
    handle: async (context) => {
      const window = await windows.mustGet(context, { named: context.req.query("login") });
      // Nobody would read the stream, or ever end it.
      if (context.req.method === "HEAD") return new Response(null, { headers: streamHeaders });
      const { issuer, subject } = window.login.principal;
      if (feed.watchersOf(issuer, subject) >= streamsPerUser || feed.size >= streamsInAll)
        throw new LatchkeyError("rate_limited", "Too many event streams are open. Close a window, or ask GET /api/sessions instead.", {
          retryable: true,
          retryAfterSeconds: 30,
        });
      return openStream(services, feed, window, open);
    },
  };
}

function openStream(services: WebServices, feed: LoginSessionFeed, window: BrowserWindow, open: Set<EventStream>): Response {
  const { issuer, subject } = window.login.principal;
  const own = window.login.id;
  /** What the client was told of each login session: its version and its number of connections. */
  const known = new Map<string, { record: LoginSession; connections: number }>();
  /** Changes that come in while the snapshot is being read. Undefined: it has been sent. */
  let waiting: LoginSession[] | undefined = [];
  const time = (): string => new Date(services.clock.now()).toISOString();

  const remember = (record: LoginSession) => {
    const connections = services.connectionsOf(record.id);
    known.set(record.id, { record, connections });
    return sessionJson(record, connections, services.loginServers.clockNote?.(record.authorizationServer));
  };
  const tell = (stream: EventStream, record: LoginSession): void => {
    if (waiting !== undefined) {
      waiting.push(record);
      return;
    }
    if ((known.get(record.id)?.record.version ?? 0) > record.version) return;
    stream.send("session", { serverTime: time(), session: remember(record) });
    if (record.id === own && record.state === "ended") finish(stream, record);
  };
  const finish = (stream: EventStream, record: LoginSession): void => {
    stream.send("ended", { serverTime: time(), login: record.handle, reason: record.reason?.code });
    stream.close();
  };
  const begin = async (stream: EventStream): Promise<void> => {
    const records = await services.sessions.listByUser(issuer, subject);
    stream.send("snapshot", { serverTime: time(), sessions: records.map(remember) });
    const later = waiting ?? [];
    waiting = undefined;
    for (const record of later) tell(stream, record);
    // Ended between the check of the request and the first look at the store: no change will come any more.
    const mine = known.get(own)?.record;
    if (mine?.state === "ended") finish(stream, mine);
  };

  let stop: () => void = () => {};
  const stream = new EventStream({
    clock: services.clock,
    onOpen: (opened) => {
      stop = feed.watch(issuer, subject, (changed) => tell(opened, changed));
      begin(opened).catch((error: unknown) => {
        services.logger.warn("An event stream could not read the login sessions; the page will ask again.", { error });
        opened.close();
      });
    },
    // Connections come and go without a change of the login session.
    onTick: (opened) => {
      for (const { record, connections } of [...known.values()])
        if (services.connectionsOf(record.id) !== connections) tell(opened, record);
    },
    onClose: () => {
      stop();
      open.delete(stream);
    },
  });
  open.add(stream);
  return stream.response();
}
