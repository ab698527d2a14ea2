import { describe, expect, test } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { DeviceSignIn } from "../../src/local/device-sign-in.ts";
import type { SignInServers } from "../../src/local/sign-in-servers.ts";
import { aLoginSession } from "../session/records.ts";
import { ManualClock } from "../support/manual-clock.ts";

type Poll = Awaited<ReturnType<SignInServers["pollDeviceLogin"]>>;
type Login = Extract<Poll, { kind: "signed_in" }>["login"];

const unavailable = new LatchkeyError("authorization_server_unavailable", "It is away.");
const record = aLoginSession("a");

describe("a sign-in by device code (RFC 8628)", () => {
  test("asks at the interval that it was told, and 5 s less often after each slow_down or outage", async () => {
    const { clock, signIn, askedAt } = await begin(["pending", "slow_down", unavailable, "pending", "signed_in"]);
    await clock.advance(120_000);
    expect(await signIn.outcome).toEqual({ kind: "signed_in", signedIn: { kind: "new", record } });
    expect(askedAt).toEqual([3, 6, 14, 27, 40]);
  });

  test("ends with what the authorization server says at last", async () => {
    const { clock, signIn } = await begin(["pending", new LatchkeyError("login_failed", "It was denied.")]);
    await clock.advance(10_000);
    expect(await signIn.outcome).toMatchObject({ kind: "failed", error: { code: "login_failed", message: "It was denied." } });
    expect(signIn.isOpen).toBe(false);
  });

  test("asks no more once the code has expired, and says so", async () => {
    const { clock, signIn, askedAt } = await begin(
      Array.from({ length: 100 }, () => "pending" as const),
      30,
    );
    await clock.advance(60_000);
    expect(await signIn.outcome).toMatchObject({ kind: "failed", error: { code: "login_failed" } });
    expect(askedAt).toHaveLength(9);
  });

  test("is over when it is closed", async () => {
    const { clock, signIn, askedAt } = await begin(["pending", "pending"]);
    await clock.advance(4_000);
    signIn.close();
    expect(await signIn.outcome).toEqual({ kind: "over" });
    expect(askedAt).toHaveLength(1);
  });

  test("tells the user where to go with which code, and nobody the device code (B10)", async () => {
    const { signIn } = await begin([]);
    expect(signIn.instructions).toBe(
      "On any device, open https://as.example/device and enter the code WDJB (or open https://as.example/d?c=WDJB).",
    );
    signIn.close();
  });
});

/** One whose authorization server answers so, one after the other. */
async function begin(answers: readonly ("pending" | "slow_down" | "signed_in" | LatchkeyError)[], lifetimeSeconds = 600) {
  const clock = new ManualClock();
  const startedAt = clock.now();
  const askedAt: number[] = [];
  const servers: Pick<SignInServers, "beginDeviceLogin" | "pollDeviceLogin"> = {
    beginDeviceLogin: async () => ({
      deviceCode: "the-device-code",
      userCode: "WDJB",
      verificationUri: "https://as.example/device",
      verificationUriComplete: "https://as.example/d?c=WDJB",
      expiresAt: startedAt + lifetimeSeconds * 1000,
      intervalSeconds: 3,
    }),
    pollDeviceLogin: async (_name, deviceCode): Promise<Poll> => {
      expect(deviceCode).toBe("the-device-code");
      const answer = answers[askedAt.length];
      askedAt.push((clock.now() - startedAt) / 1000);
      if (answer instanceof LatchkeyError) throw answer;
      return answer === "signed_in" ? { kind: "signed_in", login } : { kind: answer ?? "pending" };
    },
  };
  const signIn = await DeviceSignIn.begin({
    authorizationServer: "main",
    servers,
    finish: async (given) => {
      expect(given).toBe(login);
      return { kind: "new", record };
    },
    clock,
  });
  return { clock, signIn, askedAt };
}

const login: Login = {
  authorizationServer: "main",
  principal: record.principal,
  profile: {},
  tokens: { accessToken: "at" as Login["tokens"]["accessToken"], expiresInSeconds: 60 },
  obtainedAt: 0,
};
