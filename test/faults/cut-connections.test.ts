import { expect, test } from "vitest";
import { eventually } from "../support/e2e-wait.ts";
import { FaultWorld, forgives30Seconds } from "./fault-world.ts";
import { dropReply, dropRequest } from "./presentation-faults.ts";

test.for([
  { name: "before the request arrives", fault: dropRequest },
  { name: "before the reply arrives", fault: dropReply },
])(
  "100 callers while one connection in three is cut $name, with a grace of 30 s: 100 right answers, again and again (I8)",
  async ({ fault }, { onTestFinished }) => {
    const world = await FaultWorld.start(onTestFinished, {
      server: [forgives30Seconds],
      policy: { reuseLeewaySeconds: 30 },
      config: { heartbeat: { intervalSeconds: 60 } },
    });
    const user = await world.signIn();
    const clients = await Promise.all(Array.from({ length: 10 }, () => world.connect(user)));
    let connections = 0;
    world.server.choose(() => {
      connections += 1;
      return connections % 3 === 1 ? fault : undefined;
    });
    for (let round = 0; round < 6; round += 1) {
      world.clock.jumpWall(31_000);
      let done = false;
      const calls = Promise.all(clients.flatMap((client) => Array.from({ length: 10 }, () => client.call("me")))).finally(() => {
        done = true;
      });
      await eventually("all are answered", () => done);
      expect((await calls).filter(({ isError, text }) => isError || !text.includes('"alice"'))).toEqual([]);
    }
    expect(world.count("reuse")).toBe(0);
  },
);
