import type { LocalProfile } from "../../session/local-profile.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ProfileStore } from "../../session/store.ts";

/** Profiles in this process's memory. */
export class MemoryProfiles implements ProfileStore {
  readonly #byName = new Map<string, LocalProfile>();

  get size(): number {
    return this.#byName.size;
  }

  async get(name: string): Promise<LocalProfile | undefined> {
    return this.#byName.get(name);
  }

  async list(): Promise<readonly LocalProfile[]> {
    return [...this.#byName.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async replace(next: LocalProfile, expected: LoginSessionId | undefined): Promise<boolean> {
    if (this.#byName.get(next.name)?.loginSessionId !== expected) return false;
    this.#byName.set(next.name, next);
    return true;
  }

  async remove(name: string, expected: LoginSessionId): Promise<boolean> {
    return this.#byName.get(name)?.loginSessionId === expected && this.#byName.delete(name);
  }
}
