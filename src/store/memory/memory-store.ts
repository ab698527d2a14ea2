import type { Store } from "../../session/store.ts";
import { MemoryAuthorizationServerRecords } from "./memory-authorization-server-records.ts";
import { MemoryBrowserSessions } from "./memory-browser-sessions.ts";
import { MemoryConnectionKeys } from "./memory-connection-keys.ts";
import { MemoryImportIntents } from "./memory-import-intents.ts";
import { MemoryLoginSessions } from "./memory-login-sessions.ts";
import { MemoryLoginTransactions } from "./memory-login-transactions.ts";
import { MemoryProfiles } from "./memory-profiles.ts";
import { MemoryUsedIds } from "./memory-used-ids.ts";

/** A store in this process's memory: for one process, nothing survives its end. */
export class MemoryStore implements Store {
  readonly loginSessions = new MemoryLoginSessions();
  readonly connectionKeys = new MemoryConnectionKeys();
  readonly browserSessions: MemoryBrowserSessions;
  readonly loginTransactions: MemoryLoginTransactions;
  readonly importIntents: MemoryImportIntents;
  readonly usedIds = new MemoryUsedIds();
  readonly profiles = new MemoryProfiles();
  /** There is this process and no other. */
  readonly replicas = { announce: async () => 1, leave: async () => {} };
  readonly authorizationServerRecords: MemoryAuthorizationServerRecords;

  /** `now` gives milliseconds since the epoch: what has expired is dropped while the store is used. */
  constructor(now: () => number) {
    this.browserSessions = new MemoryBrowserSessions(now);
    this.loginTransactions = new MemoryLoginTransactions(now);
    this.importIntents = new MemoryImportIntents(now);
    this.authorizationServerRecords = new MemoryAuthorizationServerRecords(now);
  }

  /** What it holds never comes back from anywhere. */
  incarnation(): string {
    return "memory";
  }

  async close(): Promise<void> {}

  /** How many entries each map holds, for the test of I16. */
  sizes(): Readonly<Record<string, number>> {
    return {
      ...this.loginSessions.sizes(),
      connectionKeys: this.connectionKeys.size,
      browserSessions: this.browserSessions.size,
      loginTransactions: this.loginTransactions.size,
      importIntents: this.importIntents.size,
      usedIds: this.usedIds.size,
      profiles: this.profiles.size,
      authorizationServerRecords: this.authorizationServerRecords.size,
    };
  }
}
