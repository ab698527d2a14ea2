import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { McpClient } from "../support/e2e-clients.ts";
import { mustString, parseFields } from "../support/e2e-json.ts";
import { Program } from "../support/e2e-process.ts";

describe.concurrent("latchkey demo, asked to stop", () => {
  test("ends with 0 and waits for nothing that is open but idle: streams, kept connections, one that a browser opened in advance", async ({
    onTestFinished,
  }) => {
    const { demo, url } = await startDemo(onTestFinished);
    for (const kind of ["http", "sse"] as const) {
      const client = await McpClient.connectHttp(kind, url, "lk_demo_alice");
      onTestFinished(() => client.close());
      expect(await client.whoami()).toBe("alice");
    }
    const unused = connect(Number(new URL(url).port), "127.0.0.1");
    onTestFinished(async () => void unused.destroy());
    await once(unused, "connect");
    // An answered request on another connection: by then the server has accepted the one before.
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    demo.child.kill("SIGTERM");
    const { code, stderr } = await demo.exit;
    expect(code).toBe(0);
    // Nothing had to be waited for until the limit and cut off then.
    expect(stderr).not.toContain("cut off");
  });

  test("lets a running call come to its end (F30)", async ({ onTestFinished }) => {
    const { demo, url } = await startDemo(onTestFinished);
    const client = await McpClient.connectHttp("http", url, "lk_demo_bob");
    onTestFinished(() => client.close());
    let asked = false;
    const onProgress = (): void => {
      // Once: a second signal would not ask but insist.
      if (!asked) demo.child.kill("SIGTERM");
      asked = true;
    };
    const answer = await client.call("slow_report", { seconds: 2 }, { onProgress });
    expect(answer).toMatchObject({ isError: false, structured: { user: "bob", seconds: 2 } });
    expect((await demo.exit).code).toBe(0);
  });
});

async function startDemo(atEnd: Parameters<typeof Program.latchkey>[0]) {
  const demo = Program.latchkey(atEnd, ["demo", "--port", "0"]);
  const url = mustString(parseFields((await demo.says(/^\{.*\}$/m))[0]), "url");
  return { demo, url };
}
