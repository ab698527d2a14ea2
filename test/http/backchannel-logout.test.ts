import { expect, onTestFinished, test } from "vitest";
import { LatchkeyError, type LatchkeyErrorCode } from "../../src/errors.ts";
import { startWebBench } from "./web-bench.ts";

async function post(body: string | undefined, failure?: LatchkeyErrorCode, type = "application/x-www-form-urlencoded") {
  const received: string[] = [];
  const receive = async (token: string): Promise<void> => {
    received.push(token);
    if (failure !== undefined) throw new LatchkeyError(failure, "The reason.");
  };
  const bench = await startWebBench({ backchannelLogout: { receive } });
  onTestFinished(() => bench.close());
  const response = await fetch(`${bench.url}/backchannel-logout`, {
    method: "POST",
    headers: { "content-type": type },
    body: body ?? null,
  });
  expect(response.headers.get("cache-control")).toBe("no-store");
  return { status: response.status, text: await response.text(), retryAfter: response.headers.get("retry-after"), received };
}

test("a logout token that was taken is answered by an empty 200 that nobody keeps (F24)", async () => {
  expect(await post("logout_token=a.b.c")).toEqual({ status: 200, text: "", retryAfter: null, received: ["a.b.c"] });
});

test("a refused one is answered by 400 with the reason, as OAuth errors are (F24)", async () => {
  const { status, text } = await post("logout_token=a.b.c", "invalid_request");
  expect(status).toBe(400);
  expect(JSON.parse(text)).toEqual({ error: "invalid_request", error_description: "The reason." });
});

test.each<[string, string | undefined, string]>([
  ["no body", undefined, "application/x-www-form-urlencoded"],
  ["no logout token", "x=1", "application/x-www-form-urlencoded"],
  ["JSON", '{"logout_token":"a.b.c"}', "application/json"],
])("%s is refused and reaches nobody", async (_what, body, type) => {
  expect(await post(body, undefined, type)).toMatchObject({ status: 400, received: [] });
});

test.each<LatchkeyErrorCode>(["store_unavailable", "authorization_server_unavailable"])(
  "while it cannot be taken (%s) the authorization server is asked to send it again",
  async (code) => {
    const { status, retryAfter, text } = await post("logout_token=a.b.c", code);
    expect([status, retryAfter]).toEqual([503, "5"]);
    expect(JSON.parse(text)).toMatchObject({ error: "temporarily_unavailable" });
  },
);
