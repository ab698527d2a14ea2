// Latchkey on stdin and stdout, bound to one login session.
import { systemClock } from "../../src/clock.ts";
import { composeCore } from "../../src/composition/core.ts";
import { openMemoryStore } from "../../src/composition/open-store.ts";
import { serveStdio } from "../../src/transport/stdio.ts";
import { answerParent } from "../measuring/answer-parent.ts";
import { benchConfig, echo, logger, signIn } from "./latchkey-core.ts";

answerParent({
  async start() {
    const core = composeCore({
      config: benchConfig(),
      opened: openMemoryStore(systemClock),
      clock: systemClock,
      logger,
      tools: [echo],
      loginLink: () => undefined,
    });
    const { id } = await signIn(core, "user-0");
    void serveStdio({ input: process.stdin, output: process.stdout, registry: core.registry, loginSessionId: id, clock: systemClock });
    return {};
  },
});
