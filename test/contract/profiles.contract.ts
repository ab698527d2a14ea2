import { describe, expect, it } from "vitest";
import type { LocalProfile } from "../../src/session/local-profile.ts";
import type { LoginSessionId } from "../../src/session/login-session.ts";
import type { ProfileStore } from "../../src/session/store.ts";
import type { SharedStoreMaker } from "./shared-store.contract.ts";

/** What every store of profiles must do, for two processes at one time. Each adapter that keeps profiles runs it. */
export function describeProfiles(name: string, makeStores: SharedStoreMaker): void {
  async function twoProcesses(): Promise<readonly [ProfileStore, ProfileStore]> {
    const { stores } = await makeStores();
    return [mustHave(stores[0].profiles), mustHave(stores[1].profiles)];
  }

  describe(`${name}: profiles`, () => {
    it("shows each process what the other has written", async () => {
      const [one, two] = await twoProcesses();
      expect(await two.get("work")).toBeUndefined();
      expect(await one.replace(aProfile("work", "a"), undefined)).toBe(true);
      expect(await two.get("work")).toEqual(aProfile("work", "a"));
      expect(await two.replace(aProfile("work", "b", "bob"), id("a"))).toBe(true);
      expect(await one.get("work")).toEqual(aProfile("work", "b", "bob"));
    });

    it("lists all by name", async () => {
      const [one, two] = await twoProcesses();
      for (const each of ["work", "default", "Zoe-1", "home"]) await one.replace(aProfile(each, each), undefined);
      expect((await two.list()).map((profile) => profile.name)).toEqual(["Zoe-1", "default", "home", "work"]);
      expect((await two.list())[1]).toEqual(aProfile("default", "default"));
    });

    it("replaces what is expected and nothing else", async () => {
      const [one, two] = await twoProcesses();
      expect(await one.replace(aProfile("work", "b"), id("a"))).toBe(false);
      expect(await two.get("work")).toBeUndefined();
      await one.replace(aProfile("work", "a"), undefined);
      expect(await two.replace(aProfile("work", "b"), undefined)).toBe(false);
      expect(await two.replace(aProfile("work", "b"), id("x"))).toBe(false);
      expect(await two.replace(aProfile("home", "h"), id("a"))).toBe(false);
      expect(await one.list()).toEqual([aProfile("work", "a")]);
    });

    it("lets one of several sign-ins at one time win", async () => {
      const stores = await twoProcesses();
      for (const expected of [undefined, "first"]) {
        if (expected !== undefined) await stores[0].replace(aProfile("race", expected), undefined);
        const profile = expected === undefined ? "new" : "race";
        const results = await Promise.all(
          Array.from({ length: 12 }, (_, index) =>
            (index % 2 === 0 ? stores[0] : stores[1]).replace(
              aProfile(profile, `login-${index}`),
              expected === undefined ? undefined : id(expected),
            ),
          ),
        );
        const winners = results.flatMap((won, index) => (won ? [index] : []));
        expect(winners).toHaveLength(1);
        expect(await stores[1].get(profile)).toEqual(aProfile(profile, `login-${winners[0]}`));
      }
    });

    it("removes what is expected, once", async () => {
      const [one, two] = await twoProcesses();
      await one.replace(aProfile("work", "a"), undefined);
      expect(await two.remove("work", id("b"))).toBe(false);
      expect(await two.remove("home", id("a"))).toBe(false);
      expect(await two.remove("work", id("a"))).toBe(true);
      expect(await one.remove("work", id("a"))).toBe(false);
      expect(await one.get("work")).toBeUndefined();
      expect(await one.replace(aProfile("work", "c"), undefined)).toBe(true);
    });
  });
}

function aProfile(name: string, loginSessionId: string, subject = "alice"): LocalProfile {
  const principal = { issuer: "https://as.example", subject, clientId: "latchkey" };
  return { name, loginSessionId: id(loginSessionId), principal };
}

function id(text: string): LoginSessionId {
  return text as LoginSessionId;
}

function mustHave(profiles: ProfileStore | undefined): ProfileStore {
  if (profiles === undefined) throw new Error("This store keeps no profiles.");
  return profiles;
}
