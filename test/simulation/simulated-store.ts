import { LatchkeyError } from "../../src/errors.ts";
import type { LoginSession, LoginSessionHandle, LoginSessionId, RefreshTokenHash } from "../../src/session/login-session.ts";
import type {
  CommitResult,
  ConnectionKeyStore,
  ImportIntentStore,
  LoginSessionChange,
  LoginSessionStore,
} from "../../src/session/store.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Conditions } from "./conditions.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** Told of each change at the moment when the store makes it. `next` undefined: the record was removed. */
export type StoreWitness = (next: LoginSession | undefined, previous: LoginSession | undefined, by: SimulatedProcess) => void;

/** The store that all replicas share: the real memory store, a network away. */
export class SimulatedStore {
  readonly records = new Map<LoginSessionId, LoginSession>();
  readonly inner: MemoryStore;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #conditions: Conditions;
  readonly #witness: StoreWitness;
  readonly #views = new Set<StoreView>();

  /** `now`: its machine's wall clock. */
  constructor(scheduler: Scheduler, random: SeededRandom, conditions: Conditions, now: () => number, witness: StoreWitness) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#conditions = conditions;
    this.#witness = witness;
    this.inner = new MemoryStore(now);
  }

  /** The store as one process has it. */
  connect(process: SimulatedProcess): StoreView {
    const view = new StoreView(this, process);
    this.#views.add(view);
    return view;
  }

  disconnect(view: StoreView): void {
    this.#views.delete(view);
  }

  /** One operation: there, done, and back again. It is done even if the process is gone by then. */
  operate<T>(process: SimulatedProcess, execute: () => Promise<T>, writes: boolean): Promise<T> {
    const random = this.#random;
    // In good weather most reads come back before anything else happens: that takes no event.
    if (!writes && this.#conditions.isStoreWell && random.chance(0.7)) return execute();
    return new Promise((resolve, reject) => {
      const fail = (): void => process.enter(() => reject(storeAway()));
      if (this.#conditions.drawStore("store_away", process.name)) {
        this.#scheduler.after(random.between(0, 200), fail);
        return;
      }
      const slow = this.#conditions.drawStore("store_slow", process.name);
      const thereMs = slow ? random.between(100, 2_000) : random.between(0.2, 3);
      const lost = writes && this.#conditions.drawStore("acknowledgement_lost", process.name);
      // Mostly the way back takes no event of its own; often enough it does, so that a process dies in between.
      const backMs = slow || random.chance(0.1) ? random.between(0.2, slow ? 500 : 3) : 0;
      this.#scheduler.after(thereMs, () => {
        const back = (run: () => void): void => {
          if (backMs === 0) process.enter(run);
          else this.#scheduler.after(backMs, () => process.enter(run));
        };
        execute().then(
          (value) => back(() => (lost ? reject(storeAway()) : resolve(value))),
          (error: unknown) => back(() => reject(error)),
        );
      });
    });
  }

  /** A change was made: whoever listens hears of it, sooner or later, or not at all. */
  changed(id: LoginSessionId, next: LoginSession | undefined, by: SimulatedProcess): void {
    const previous = this.records.get(id);
    if (next === undefined) this.records.delete(id);
    else this.records.set(id, next);
    this.#witness(next, previous, by);
    const change: LoginSessionChange = { id, version: next?.version ?? 0 };
    for (const view of this.#views) {
      if (view.process === by) view.tell(change);
      else {
        // An adapter's message that is lost must not be the only way: it looks for changes by itself as well (the port's promise).
        const isLost = this.#conditions.drawStore("change_not_told", view.process.name);
        const isLate = this.#conditions.drawStore("change_told_late", view.process.name);
        const [soonestMs, latestMs] = isLost ? [400, 800] : isLate ? [20, 800] : [1, 20];
        this.#scheduler.after(this.#random.between(soonestMs, latestMs), () => view.process.enter(() => view.tell(change)));
      }
    }
  }
}

class StoreView implements LoginSessionStore {
  readonly process: SimulatedProcess;
  readonly #store: SimulatedStore;
  readonly #listeners = new Set<(change: LoginSessionChange) => void>();

  constructor(store: SimulatedStore, process: SimulatedProcess) {
    this.#store = store;
    this.process = process;
  }

  tell(change: LoginSessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  insert(record: LoginSession): Promise<void> {
    return this.#write(async () => {
      await this.#store.inner.loginSessions.insert(record);
      this.#store.changed(record.id, record, this.process);
    });
  }

  get(id: LoginSessionId): Promise<LoginSession | undefined> {
    return this.#read(() => this.#store.inner.loginSessions.get(id));
  }

  getByHandle(handle: LoginSessionHandle): Promise<LoginSession | undefined> {
    return this.#read(() => this.#store.inner.loginSessions.getByHandle(handle));
  }

  getByRefreshTokenHash(hash: RefreshTokenHash): Promise<LoginSession | undefined> {
    return this.#read(() => this.#store.inner.loginSessions.getByRefreshTokenHash(hash));
  }

  commit(next: LoginSession): Promise<CommitResult> {
    return this.#write(async () => {
      const result = await this.#store.inner.loginSessions.commit(next);
      if (result.committed) this.#store.changed(next.id, next, this.process);
      return result;
    });
  }

  remove(id: LoginSessionId, version: number): Promise<boolean> {
    return this.#write(async () => {
      const removed = await this.#store.inner.loginSessions.remove(id, version);
      if (removed) this.#store.changed(id, undefined, this.process);
      return removed;
    });
  }

  listByUser(issuer: string, subject: string): Promise<readonly LoginSession[]> {
    return this.#read(() => this.#store.inner.loginSessions.listByUser(issuer, subject));
  }

  listBySid(issuer: string, sid: string): Promise<readonly LoginSession[]> {
    return this.#read(() => this.#store.inner.loginSessions.listBySid(issuer, sid));
  }

  async claimDue(now: number, limit: number, leaseMs: number): Promise<readonly LoginSessionId[]> {
    // Mostly nothing is due: that answer takes no event, or the heartbeats of idle replicas would be most of a run.
    const claimed = await this.#store.inner.loginSessions.claimDue(now, limit, leaseMs);
    return claimed.length === 0 ? claimed : this.#read(async () => claimed);
  }

  shiftDue(byMs: number): Promise<void> {
    return this.#write(() => this.#store.inner.loginSessions.shiftDue(byMs));
  }

  /** The intents of imports, the same way. */
  get importIntents(): ImportIntentStore {
    const { importIntents } = this.#store.inner;
    return {
      claim: (intent, now) => this.#write(() => importIntents.claim(intent, now)),
      release: (intent) => this.#write(() => importIntents.release(intent)),
    };
  }

  /** Nothing of the simulation uses connection keys: nothing goes wrong with them. */
  get connectionKeys(): ConnectionKeyStore {
    return this.#store.inner.connectionKeys;
  }

  subscribe(listener: (change: LoginSessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #read<T>(execute: () => Promise<T>): Promise<T> {
    return this.#store.operate(this.process, execute, false);
  }

  #write<T>(execute: () => Promise<T>): Promise<T> {
    return this.#store.operate(this.process, execute, true);
  }
}

export type { StoreView };

function storeAway(): LatchkeyError {
  return new LatchkeyError("store_unavailable", "The store cannot be reached.", { retryable: true });
}
