import { type AuditEvent, silentAudit } from "../../src/audit/audit.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { createLogger, silentLogger } from "../../src/logger.ts";
import { AuthorizationServers } from "../../src/oidc/authorization-servers.ts";
import type { AuthorizationServerSettings } from "../../src/oidc/settings.ts";
import type { AccessToken, Principal, RefreshToken } from "../../src/session/login-session.ts";
import type { RawReply, RefreshRequest } from "../../src/token/ports.ts";
import type { ScriptedAuthorizationServer } from "../support/scripted-authorization-server.ts";

export const refreshToken = (value = "rt-1"): RefreshToken => value as RefreshToken;
export const accessToken = (value = "at-1"): AccessToken => value as AccessToken;

export function settingsFor(
  server: { readonly issuer: string },
  changes: Partial<AuthorizationServerSettings> = {},
): AuthorizationServerSettings {
  return {
    name: "main",
    issuer: server.issuer,
    clientId: "client-1",
    clientSecret: "canary-client-secret",
    scopes: ["openid", "profile", "offline_access"],
    clockToleranceSeconds: 60,
    requestTimeoutSeconds: 5,
    ...changes,
  };
}

export function adapterFor(
  server: { readonly issuer: string },
  changes: Partial<AuthorizationServerSettings> = {},
  clock: Clock = systemClock,
): AuthorizationServers {
  return new AuthorizationServers([settingsFor(server, changes)], { clock, logger: silentLogger, audit: silentAudit });
}

export function refreshRequest(changes: Partial<RefreshRequest> = {}): RefreshRequest {
  return { authorizationServer: "main", refreshToken: refreshToken(), target: { scopes: [] }, timeoutMs: 5_000, ...changes };
}

export function principalOf(server: ScriptedAuthorizationServer): Principal {
  return { issuer: server.issuer, subject: "alice", clientId: "client-1" };
}

export function rawReply(body: unknown, at = Date.now()): RawReply {
  return { sentAt: at - 10, receivedAt: at, body: typeof body === "string" ? body : JSON.stringify(body) };
}

export const tokenBody = { access_token: "at-2", token_type: "Bearer", expires_in: 30, refresh_token: "rt-2" };

/** The system's clock, moved, and with timers that fire only when told. */
export class HeldClock implements Clock {
  offsetMs = 0;
  readonly #timers = new Set<{ readonly delayMs: number; readonly run: () => void }>();

  now(): number {
    return Date.now() + this.offsetMs;
  }

  monotonic(): number {
    return performance.now() + this.offsetMs;
  }

  schedule(delayMs: number, run: () => void): { cancel(): void } {
    const timer = { delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Fires every timer that waits, as if its time had come. */
  fire(): void {
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer);
      timer.run();
    }
  }

  get waiting(): number {
    return this.#timers.size;
  }
}

/** Services that keep what they are told, as the lines that a log would have. */
export function recordingServices(clock: Clock = systemClock) {
  const lines: string[] = [];
  const events: AuditEvent[] = [];
  const logger = createLogger({ level: "debug", format: "json", write: (line) => lines.push(line), now: () => clock.now() });
  return { lines, events, services: { clock, logger, audit: { record: (event: AuditEvent) => events.push(event) } } };
}
