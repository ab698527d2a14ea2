import type { Clock } from "../clock.ts";
import { hashBrowserCookie } from "../session/random.ts";
import type { Route } from "./route.ts";
import { json } from "./route.ts";
import type { WebServices, WebSettings } from "./web-services.ts";

/** Where orchestrators and load balancers ask. */
export const healthPaths = { live: "/health/live", ready: "/health/ready" };

/** An answer about the authorization servers is good for this long: whoever asks often does not ask them often. */
const probeValidMs = 10_000;
const probeTimeoutMs = 3_000;

/**
 * `/health/live`: the process answers. `/health/ready`: 200 while the store answers; an authorization server that cannot
 * be reached makes it `degraded`, since logins that stand are still served. No identifiers in either (B12).
 */
export function healthRoutes(settings: WebSettings, services: WebServices): readonly Route[] {
  const authorizationServers = new CachedProbe(services.clock, async () => {
    const probes = await Promise.all(settings.authorizationServers.map(({ name }) => services.loginServers.probe(name)));
    return probes.every((probe) => probe.ok);
  });
  const isStoreUp = async (): Promise<boolean> => {
    try {
      await services.store.browserSessions.get(hashBrowserCookie("readiness"), services.clock.now());
      return true;
    } catch {
      return false;
    }
  };
  return [
    { method: "GET", path: healthPaths.live, handle: () => json({ status: "live" }) },
    {
      method: "GET",
      path: healthPaths.ready,
      handle: async () => {
        const [store, servers] = await Promise.all([within(services.clock, isStoreUp()), authorizationServers.ask()]);
        const status = store ? (servers ? "ready" : "degraded") : "unavailable";
        return json({ status, store: store ? "up" : "down", authorizationServers: servers ? "up" : "down" }, store ? 200 : 503);
      },
    },
  ];
}

/** Asks once for all who ask at the same time, and remembers the answer for a while. */
class CachedProbe {
  readonly #clock: Clock;
  readonly #probe: () => Promise<boolean>;
  #answer: { readonly at: number; readonly ok: Promise<boolean> } | undefined;

  constructor(clock: Clock, probe: () => Promise<boolean>) {
    this.#clock = clock;
    this.#probe = probe;
  }

  ask(): Promise<boolean> {
    const now = this.#clock.monotonic();
    if (this.#answer === undefined || now - this.#answer.at > probeValidMs)
      this.#answer = {
        at: now,
        ok: within(
          this.#clock,
          this.#probe().catch(() => false),
        ),
      };
    return this.#answer.ok;
  }
}

/** `ok`, or false when that takes too long. */
function within(clock: Clock, ok: Promise<boolean>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.schedule(probeTimeoutMs, () => resolve(false));
    ok.then(resolve, () => resolve(false)).finally(() => timer.cancel());
  });
}
