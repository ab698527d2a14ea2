import type { Audit } from "../audit/audit.ts";
import { LatchkeyError } from "../errors.ts";
import { isEqual } from "./csrf.ts";
import type { RouteContext } from "./route.ts";

/** Who the import secret belongs to: the trusted backend. Compared in constant time. */
export class ImportAccess {
  readonly #secret: string | undefined;
  readonly #audit: Audit;

  constructor(secret: string | undefined, audit: Audit) {
    this.#secret = secret;
    this.#audit = audit;
  }

  /** True when the request brings a credential of a backend, good or bad; a browser never sends one. */
  isClaimed(context: RouteContext): boolean {
    return context.req.header("authorization") !== undefined;
  }

  /** Throws LatchkeyError `forbidden` when imports are off, `unauthorized` for a missing or wrong secret. */
  mustBeBackend(context: RouteContext): void {
    if (this.#secret === undefined)
      throw new LatchkeyError("forbidden", "Imports are off: this server has no import secret in its configuration.");
    const given = /^Bearer +(.{1,1000})$/i.exec(context.req.header("authorization") ?? "")?.[1];
    if (given !== undefined && isEqual(given, this.#secret)) return;
    this.#audit.record({ event: "import_refused", reason: given === undefined ? "no_secret" : "wrong_secret" });
    throw new LatchkeyError("unauthorized", "This call needs the import secret as Authorization: Bearer.");
  }
}
