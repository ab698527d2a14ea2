import type { Clock } from "../clock.ts";
import type { Plan } from "./behaviour-rules.ts";
import type { ClientAuthenticator } from "./client-authentication.ts";
import type { LedgerBook } from "./ledger.ts";
import type { FaultServerClient } from "./options.ts";
import type { Rotations } from "./rotation.ts";
import type { SecretSource } from "./secrets.ts";
import type { Signing } from "./signing.ts";
import type { TokenFamilies } from "./token-families.ts";

/** What was approved, and waits for its code to be exchanged. */
export interface Approval {
  readonly clientId: string;
  readonly subject: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly nonce: string | undefined;
  readonly challenge: string | undefined;
  /** The family that the code was exchanged for. A second exchange ends it. */
  family: string | undefined;
}

/** A sign-in on another device (RFC 8628), by its device code. */
export interface DeviceRequest {
  readonly clientId: string;
  readonly subject: string;
  readonly scope: string;
  readonly userCode: string;
  state: "pending" | "approved" | "denied";
}

/** What the endpoints share. */
export interface ServerState {
  readonly clock: Clock;
  readonly secret: SecretSource;
  readonly families: TokenFamilies;
  readonly rotations: Rotations;
  readonly ledger: LedgerBook;
  readonly signing: Signing;
  readonly clients: readonly FaultServerClient[];
  readonly authenticator: ClientAuthenticator;
  readonly approvals: Map<string, Approval>;
  readonly devices: Map<string, DeviceRequest>;
  readonly user: string | undefined;
  issuer(): string;
}

/** One request, read, with what was chosen for it. */
export interface EndpointRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
  readonly plan: Plan;
}
