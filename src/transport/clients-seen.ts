import type { ClientSeen } from "../mcp/served-connection.ts";
import type { LoginSessionId } from "../session/login-session.ts";

/** How long a client is remembered after it was last heard of. */
export const seenForMs = 15 * 60_000;

/** As many clients are remembered for one login session; the longest unheard one goes first. */
const mostClients = 50;

/** The clients of closed connections, for 15 minutes. Bounded for each login session. */
export class ClientsSeen {
  /** In the order of the last change, so that what is forgotten first stands in front. */
  readonly #byLoginSession = new Map<LoginSessionId, Map<string, ClientSeen>>();

  /** How many login sessions have clients here. */
  get size(): number {
    return this.#byLoginSession.size;
  }

  /** Remembers a client that was heard of within 15 minutes before `now`; of two entries of one client the later counts. */
  add(id: LoginSessionId, client: ClientSeen, now: number): void {
    if (client.lastSeenAt <= now - seenForMs) return;
    const clients = this.#byLoginSession.get(id) ?? new Map<string, ClientSeen>();
    const key = clientKey(client);
    const known = clients.get(key);
    clients.delete(key);
    clients.set(key, known !== undefined && known.lastSeenAt > client.lastSeenAt ? known : client);
    const oldest = clients.size > mostClients ? clients.keys().next().value : undefined;
    if (oldest !== undefined) clients.delete(oldest);
    this.#byLoginSession.delete(id);
    this.#byLoginSession.set(id, clients);
  }

  /** The clients heard of within 15 minutes before `now`, together with those in `present`; the latest first. */
  list(id: LoginSessionId, present: readonly ClientSeen[], now: number): readonly ClientSeen[] {
    const all = new Map<string, ClientSeen>();
    for (const client of [...(this.#byLoginSession.get(id)?.values() ?? []), ...present]) {
      if (client.lastSeenAt <= now - seenForMs) continue;
      const known = all.get(clientKey(client));
      if (known === undefined || known.lastSeenAt < client.lastSeenAt) all.set(clientKey(client), client);
    }
    return [...all.values()].sort((a, b) => b.lastSeenAt - a.lastSeenAt).slice(0, mostClients);
  }

  forget(id: LoginSessionId): void {
    this.#byLoginSession.delete(id);
  }

  /** Drops what is too old. */
  purge(now: number): void {
    for (const [id, clients] of this.#byLoginSession) {
      for (const [key, client] of clients) if (client.lastSeenAt <= now - seenForMs) clients.delete(key);
      if (clients.size > 0) return;
      this.#byLoginSession.delete(id);
    }
  }
}

function clientKey({ name, version, transport }: ClientSeen): string {
  return JSON.stringify([name, version, transport]);
}
