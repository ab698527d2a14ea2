import { afterEach } from "vitest";
import { type ChaosProxy, type ChaosProxyOptions, startChaosProxy } from "../../src/testing/chaos-proxy.ts";
import { type FaultServer, startFaultServer } from "../../src/testing/fault-server.ts";
import type { FaultServerOptions } from "../../src/testing/options.ts";

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0).toReversed()) await each.close();
});

/** A fault server that is closed after the test. */
export async function faultServer(options: FaultServerOptions = {}): Promise<FaultServer> {
  const server = await startFaultServer(options);
  toClose.push(server);
  return server;
}

/** A chaos proxy that is closed after the test. */
export async function chaosProxy(options: ChaosProxyOptions): Promise<ChaosProxy> {
  const proxy = await startChaosProxy(options);
  toClose.push(proxy);
  return proxy;
}

/** What came back of a request. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** Posts a form on a connection of its own. */
export async function post(url: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Reply> {
  return await read(await fetch(url, { method: "POST", body: new URLSearchParams(form), headers: { connection: "close", ...headers } }));
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Reply> {
  return await read(await fetch(url, { redirect: "manual", headers: { connection: "close", ...headers } }));
}

async function read(response: Response): Promise<Reply> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true && text.endsWith("}");
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} };
}

/** Presents a refresh token, at this origin or at the server's. */
export function refresh(server: FaultServer, token: unknown, origin = server.origin): Promise<Reply> {
  return post(`${origin}/token`, { grant_type: "refresh_token", refresh_token: String(token), client_id: "client" });
}
