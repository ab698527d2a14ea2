import type { Logger } from "../logger.ts";

/** What happened, in one stable word. Others filter on it. */
export type AuditEventName =
  | "login_started"
  | "login_completed"
  | "login_refused"
  | "login_imported"
  | "import_refused"
  | "login_required"
  | "login_ended"
  | "login_repaired"
  | "backchannel_logout"
  | "backchannel_logout_refused"
  | "refresh_presented"
  | "refresh_committed"
  | "refresh_failed"
  | "late_reply_adopted"
  | "late_reply_dropped"
  | "late_reply_revoked"
  | "kept_reply_found"
  | "identity_mismatch"
  | "revocation_done"
  | "revocation_failed"
  | "connection_opened"
  | "connection_closed"
  | "connection_refused"
  | "foreign_connection_access"
  | "connection_key_created"
  | "connection_key_removed"
  | "client_registered"
  | "client_refused"
  | "client_reply_repeated"
  | "client_grant_ended"
  | "consent_given"
  | "consent_refused"
  | "csrf_refused"
  | "issuer_paused"
  | "issuer_resumed"
  | "record_quarantined"
  | "store_went_back";

/** A security event: what happened to whom. Fields hold handles, subjects, counts; never a token, code, cookie or key. */
export interface AuditEvent {
  readonly event: AuditEventName;
  /** The public handle of the login session that it is about. */
  readonly login?: string | undefined;
  readonly [field: string]: unknown;
}

/** Takes security events. It never throws and never blocks. */
export interface Audit {
  record(event: AuditEvent): void;
}

/** Writes each event as one log line with `audit: true`. */
export function loggingAudit(logger: Logger): Audit {
  return { record: ({ event, ...fields }) => logger.info(event, { audit: true, event, ...fields }) };
}

/** Takes events and forgets them. */
export const silentAudit: Audit = { record: () => {} };
