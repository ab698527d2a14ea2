import type { LoginSessionStore } from "../../src/session/store.ts";
import type { AuthorizationServerPort, ImportPort } from "../../src/token/ports.ts";
import type { SimulatedStore } from "./simulated-store.ts";

/** Mistakes that one could make: each must be found by the checks. `none`: the code as it is. */
export const mutants = {
  none: "nothing",
  blind_commit: "compare-and-set always succeeds",
  claim_not_written: "the intent is presented before it is written",
  no_heartbeat: "nobody refreshes but on demand",
  ambiguous_is_dead: "a broken connection ends the login",
  ambiguous_is_not_sent: "a broken connection counts as if nothing had been sent",
  post_twice: "the client repeats a request that got no answer",
  introspection_says_active: "introspection is not asked",
  no_retry_after: "Retry-After is not heard",
  reply_thrown_away: "a whole reply counts as ambiguous",
  identity_unchecked: "nobody looks whose tokens a reply brings",
  revocation_forgotten: "a revocation counts as done before it is",
  deaf: "no replica hears of changes that others make",
} as const;
export type Mutant = keyof typeof mutants;

/** The store as the mutant gives it to the token service. */
export function mutantStore(mutant: Mutant, store: LoginSessionStore, shared: SimulatedStore): LoginSessionStore {
  const same: LoginSessionStore = {
    insert: (record) => store.insert(record),
    get: (id) => store.get(id),
    getByHandle: (handle) => store.getByHandle(handle),
    getByRefreshTokenHash: (hash) => store.getByRefreshTokenHash(hash),
    commit: (next) => store.commit(next),
    remove: (id, version) => store.remove(id, version),
    listByUser: (issuer, subject) => store.listByUser(issuer, subject),
    listBySid: (issuer, sid) => store.listBySid(issuer, sid),
    claimDue: (now, limit, leaseMs) => store.claimDue(now, limit, leaseMs),
    shiftDue: (byMs) => store.shiftDue(byMs),
    subscribe: (listener) => store.subscribe(listener),
  };
  switch (mutant) {
    case "blind_commit":
      return {
        ...same,
        commit: async (next) => {
          const first = await store.commit(next);
          if (first.committed || first.current === undefined) return first;
          const current = shared.records.get(next.id);
          if (current !== undefined) await store.commit({ ...next, version: current.version + 1 });
          return { committed: true };
        },
      };
    case "claim_not_written":
      return {
        ...same,
        commit: async (next) => {
          const current = shared.records.get(next.id);
          const claims = next.state === "refreshing" && next.attempts.length > (current?.attempts.length ?? 0);
          return claims ? { committed: true } : store.commit(next);
        },
      };
    case "deaf":
      return { ...same, subscribe: () => () => {} };
    case "none":
    case "no_heartbeat":
    case "ambiguous_is_dead":
    case "ambiguous_is_not_sent":
    case "post_twice":
    case "introspection_says_active":
    case "no_retry_after":
    case "reply_thrown_away":
    case "identity_unchecked":
    case "revocation_forgotten":
      return store;
  }
}

type Server = AuthorizationServerPort & ImportPort;

/** The authorization servers as the mutant gives them to the token service. */
export function mutantServer(mutant: Mutant, server: Server): Server {
  const same: Server = {
    refresh: (request) => server.refresh(request),
    verify: (name, principal, reply) => server.verify(name, principal, reply),
    identify: (name, principal, reply) => server.identify(name, principal, reply),
    checkImport: (request) => server.checkImport(request),
    introspect: (name, token) => server.introspect(name, token),
    revoke: (name, token) => server.revoke(name, token),
  };
  const answering = (change: (outcome: Outcome) => Outcome): Server => ({
    ...same,
    refresh: async (request) => change(await server.refresh(request)),
  });
  switch (mutant) {
    case "ambiguous_is_dead":
      return answering((outcome) => (outcome.kind === "ambiguous" ? { ...outcome, kind: "grant_dead" } : outcome));
    case "ambiguous_is_not_sent":
      return answering((outcome) => (outcome.kind === "ambiguous" ? { ...outcome, kind: "not_sent" } : outcome));
    case "reply_thrown_away": {
      let replies = 0;
      const discards = (): boolean => ++replies % 50 === 0;
      return answering((outcome) =>
        outcome.kind === "rotated" && discards() ? { kind: "ambiguous", cause: new Error("lost here") } : outcome,
      );
    }
    case "no_retry_after":
      return answering((outcome) => ("retryAfterSeconds" in outcome ? { ...outcome, retryAfterSeconds: undefined } : outcome));
    case "post_twice":
      return {
        ...same,
        refresh: async (request) => {
          const first = await server.refresh(request);
          return first.kind === "ambiguous" ? await server.refresh(request) : first;
        },
      };
    case "introspection_says_active":
      return {
        ...same,
        introspect: async (name, token) => {
          const found = await server.introspect(name, token);
          return found.kind === "inactive" ? { kind: "active" } : found;
        },
      };
    case "identity_unchecked":
      return {
        ...same,
        verify: async (name, principal, reply) => {
          const found = await server.verify(name, principal, reply);
          if (found.kind !== "identity_mismatch") return found;
          const subject = /at\|(\w+)\|/.exec(reply.body)?.[1] ?? principal.subject;
          return server.verify(name, { ...principal, subject }, reply);
        },
      };
    case "revocation_forgotten":
      return { ...same, revoke: async () => ({ kind: "revoked" }) };
    case "none":
    case "blind_commit":
    case "claim_not_written":
    case "no_heartbeat":
    case "deaf":
      return server;
  }
}

type Outcome = Awaited<ReturnType<AuthorizationServerPort["refresh"]>>;
