import { LatchkeyError } from "../errors.ts";
import type { Principal, RefreshToken } from "../session/login-session.ts";
import type {
  AuthorizationServerPort,
  ImportCheck,
  ImportPort,
  IntrospectionOutcome,
  LogoutTokenCheck,
  LogoutTokenPort,
  RawReply,
  RefreshOutcome,
  RefreshRequest,
  RevocableToken,
  RevocationOutcome,
  Verification,
  VerifiedLogin,
} from "../token/ports.ts";
import { AuthorizationServer, type OidcServices } from "./authorization-server.ts";
import type { LoginCallback } from "./code-exchange.ts";
import { beginDeviceLogin, type DeviceLogin, type DevicePoll, pollDeviceLogin } from "./device-login.ts";
import { type EndSessionRequest, endSessionUrl } from "./end-session.ts";
import { identifyReply } from "./identification.ts";
import { checkImport } from "./import-check.ts";
import { introspect } from "./introspection.ts";
import { completeLogin } from "./login-completion.ts";
import { type BegunLogin, beginLogin, type LoginRequest } from "./login-request.ts";
import { checkLogoutToken } from "./logout-token.ts";
import { refresh } from "./refresh.ts";
import { verifyReply } from "./reply-verification.ts";
import { revoke } from "./revocation.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { settingsProblems } from "./settings-problems.ts";

/** Whether an authorization server answers. `problem` is a clause for people. */
export type ProbeResult =
  /** `clockAheadSeconds`: by how much this machine's clock is ahead of the server's, if its answer had a date. */
  { readonly ok: true; readonly clockAheadSeconds?: number | undefined } | { readonly ok: false; readonly problem: string };

/**
 * All authorization servers of the configuration, by name. Nothing is asked of any of them before its first use, and one
 * that cannot be reached fails nothing but the call. Expected outcomes of the token service's port are values; the login
 * flow throws LatchkeyError `login_failed`, `authorization_server_unavailable`, or `not_found` for a name that is not configured.
 */
export class AuthorizationServers implements AuthorizationServerPort, ImportPort, LogoutTokenPort {
  readonly #servers: ReadonlyMap<string, AuthorizationServer>;

  /** Throws LatchkeyError `configuration_invalid`, with all `details.problems` at once. */
  constructor(settings: readonly AuthorizationServerSettings[], services: OidcServices) {
    const problems = settings.flatMap(settingsProblems);
    if (problems.length > 0)
      throw new LatchkeyError("configuration_invalid", `The configuration cannot be used: ${problems.join("; ")}.`, {
        details: { problems },
      });
    this.#servers = new Map(settings.map((each) => [each.name, new AuthorizationServer(each, services)]));
  }

  async refresh(request: RefreshRequest): Promise<RefreshOutcome> {
    const server = this.#servers.get(request.authorizationServer);
    return server === undefined ? { kind: "not_sent", cause: unknownServer(request.authorizationServer) } : await refresh(server, request);
  }

  async verify(authorizationServer: string, principal: Principal, reply: RawReply): Promise<Verification> {
    const server = this.#servers.get(authorizationServer);
    return server === undefined ? unknownVerification(authorizationServer) : await verifyReply(server, principal, reply);
  }

  /** Positive identity for an import's refresh: the ID token of the reply, else userinfo. */
  async identify(authorizationServer: string, principal: Principal, reply: RawReply): Promise<Verification> {
    const server = this.#servers.get(authorizationServer);
    return server === undefined ? unknownVerification(authorizationServer) : await identifyReply(server, principal, reply);
  }

  async introspect(authorizationServer: string, token: RefreshToken): Promise<IntrospectionOutcome> {
    const server = this.#servers.get(authorizationServer);
    return server === undefined ? { kind: "unavailable", cause: unknownServer(authorizationServer) } : await introspect(server, token);
  }

  async revoke(authorizationServer: string, token: RevocableToken): Promise<RevocationOutcome> {
    const server = this.#servers.get(authorizationServer);
    return server === undefined ? { kind: "unavailable", cause: unknownServer(authorizationServer) } : await revoke(server, token);
  }

  async beginLogin(name: string, request: LoginRequest): Promise<BegunLogin> {
    return await beginLogin(this.#mustGet(name), request);
  }

  /** Throws LatchkeyError `login_failed`, whose message says what happened and what to do, and `authorization_server_unavailable`. */
  async completeLogin(name: string, callback: LoginCallback): Promise<VerifiedLogin> {
    return await completeLogin(this.#mustGet(name), callback);
  }

  /** Whether it can sign in on another device (RFC 8628), as far as that can be known now. */
  async offersDeviceLogin(name: string): Promise<boolean> {
    const looked = await this.#mustGet(name).look();
    return looked.kind !== "unavailable" && looked.metadata.endpoints.deviceAuthorization !== undefined;
  }

  async beginDeviceLogin(name: string): Promise<DeviceLogin> {
    return await beginDeviceLogin(this.#mustGet(name));
  }

  async pollDeviceLogin(name: string, deviceCode: string): Promise<DevicePoll> {
    return await pollDeviceLogin(this.#mustGet(name), deviceCode);
  }

  /** Address for RP-Initiated Logout 1.0; undefined when there is none, or none is known now. */
  async endSessionUrl(name: string, request: EndSessionRequest): Promise<string | undefined> {
    return await endSessionUrl(this.#mustGet(name), request);
  }

  /** Which authorization server and which user the ID token of an import is from (R17). `accessToken` is not looked at. */
  async checkImport(request: { readonly idToken: string; readonly accessToken?: string | undefined }): Promise<ImportCheck> {
    return await checkImport([...this.#servers.values()], request);
  }

  /** Which sign-ins a logout token ends (OIDC Back-Channel Logout 1.0, section 2.6). */
  async checkLogoutToken(logoutToken: string): Promise<LogoutTokenCheck> {
    return await checkLogoutToken([...this.#servers.values()], logoutToken);
  }

  /** Whether discovery works now: it is asked, whatever is known already. */
  async probe(name: string): Promise<ProbeResult> {
    const server = this.#mustGet(name);
    const failure = await server.discovery.check();
    return failure === undefined ? { ok: true, clockAheadSeconds: server.clockAheadSeconds } : { ok: false, problem: failure.problem };
  }

  /** A sentence for people when this machine's clock and that of the authorization server are far apart, else undefined. */
  clockNote(name: string): string | undefined {
    return this.#servers.get(name)?.clockNote;
  }

  #mustGet(name: string): AuthorizationServer {
    const server = this.#servers.get(name);
    if (server === undefined) throw unknownServer(name);
    return server;
  }
}

function unknownServer(name: string): LatchkeyError {
  return new LatchkeyError(
    "not_found",
    `No authorization server named "${name}" is configured. Put authorizationServers.${name} back, or sign in elsewhere.`,
  );
}

/** A record outlived its authorization server's configuration, which may come back. */
function unknownVerification(name: string): Verification {
  const cause = unknownServer(name);
  return { kind: "unavailable", problem: cause.message, cause };
}
