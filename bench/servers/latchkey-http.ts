// Latchkey as `latchkey serve` composes it, with the tool `echo`, and a login session with a key for each user asked for.
import { z } from "zod";
import { systemClock } from "../../src/clock.ts";
import { startHttpServer } from "../../src/composition/http-server.ts";
import { answerParent } from "../measuring/answer-parent.ts";
import { benchConfig, echo, logger, makeKey, signIn } from "./latchkey-core.ts";

answerParent({
  async start(body) {
    const { users } = z.object({ users: z.number() }).parse(body);
    const { core, publicUrl } = await startHttpServer({ config: benchConfig(), clock: systemClock, logger, tools: [echo] });
    const keys: string[] = [];
    for (let user = 0; user < users; user += 1) keys.push(await makeKey(core, await signIn(core, `user-${user}`)));
    return { port: Number(new URL(publicUrl).port), keys };
  },
});
