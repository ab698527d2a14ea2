import type { Audit } from "../audit/audit.ts";
import type { Logger } from "../logger.ts";

/** What cannot be read in the store's file. It stays where it is, and is as good as absent until it can be read again. */
export class Quarantine {
  readonly #logger: Logger;
  readonly #audit: Audit;
  /** By id: the text that could not be read. */
  readonly #entries = new Map<string, string>();

  constructor(logger: Logger, audit: Audit) {
    this.#logger = logger;
    this.#audit = audit;
  }

  /** Reports a login session that cannot be read: once, until it changes. `handle` is what the row says. */
  add(id: string, handle: string, sealed: string, problem: string): void {
    if (this.#entries.get(id) === sealed) return;
    this.#entries.set(id, sealed);
    this.#logger.error("A stored login session cannot be read. It serves nothing until it can be; the others go on.", {
      login: handle,
      problem: `it ${problem}`,
    });
    this.#audit.record({ event: "record_quarantined", login: handle, problem: `it ${problem}` });
  }

  /** Whether this very text is known to be unreadable: there is no use in trying again. */
  knows(id: string, sealed: string): boolean {
    return this.#entries.get(id) === sealed;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** It can be read, or is gone. */
  clear(id: string): void {
    this.#entries.delete(id);
  }

  /** Reports a row of another kind that is not as it was written. */
  reportRow(table: string): void {
    this.#logger.error("A row of the store was changed from outside. It is not used.", { table });
    this.#audit.record({ event: "record_quarantined", table });
  }
}
