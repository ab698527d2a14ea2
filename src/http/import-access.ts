import { LatchkeyError } from "../errors.ts";
import { isEqual } from "./csrf.ts";
import type { RouteContext } from "./route.ts";
import type { WebServices } from "./web-services.ts";

/** Who the import secret belongs to: the trusted backend. Compared in constant time. */
export class ImportAccess {
  readonly #secret: string | undefined;
  readonly #services: Pick<WebServices, "audit" | "clientAddress">;

  constructor(secret: string | undefined, services: Pick<WebServices, "audit" | "clientAddress">) {
    this.#secret = secret;
    this.#services = services;
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
    const { audit, clientAddress } = this.#services;
    const reason = given === undefined ? "no_secret" : "wrong_secret";
    audit.record({ event: "import_refused", reason, address: clientAddress(context.env.incoming) });
    throw new LatchkeyError("unauthorized", "This call needs the import secret as Authorization: Bearer.");
  }
}
