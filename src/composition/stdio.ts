import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Logger } from "../logger.ts";
import { serveStdio } from "../transport/stdio.ts";
import { composeCore } from "./core.ts";
import { demoConfig, signInAtDemo, startDemoSurroundings } from "./demo.ts";
import { openMemoryStore } from "./open-store.ts";

export interface StdioDemoSettings {
  readonly user: string;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  readonly heartbeatIntervalSeconds: number;
  readonly log: Config["log"];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

/** How long running calls, and then running refreshes, may take at the end. */
const drainSeconds = 10;

/** Serves the demo on stdin and stdout, signed in as one user, until the input ends. Free ports, nothing kept. */
export async function serveStdioDemo(settings: StdioDemoSettings): Promise<void> {
  const { user, clock, logger, input, output, signal } = settings;
  const demo = { ...settings, port: 0, stateDirectory: undefined };
  const surroundings = await startDemoSurroundings(demo);
  try {
    // Nobody listens there: the scripted browser stops before it.
    const redirectUri = "http://127.0.0.1/login/callback";
    surroundings.authorizationServer.register({ redirectUris: [redirectUri] });
    const core = composeCore({
      config: demoConfig(demo, surroundings),
      opened: openMemoryStore(clock),
      clock,
      logger,
      loginLink: () => undefined,
    });
    const login = await signInAtDemo(core, user, redirectUri);
    await serveStdio({ input, output, registry: core.registry, loginSessionId: login.id, clock, drainSeconds, signal });
    void core.heartbeat.stop();
    await core.close(drainSeconds * 1000);
  } finally {
    await surroundings.close();
  }
}
