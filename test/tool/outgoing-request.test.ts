import { describe, expect, it } from "vitest";
import { followRedirect, isReplayable, outgoingRequest } from "../../src/tool/outgoing-request.ts";

const to = (location: string, status = 302): Response => new Response(null, { status, headers: { location } });

describe("followRedirect", () => {
  it("refuses to go from https to http, and allows the other way", () => {
    const secure = outgoingRequest(new URL("https://api.example/"), {});
    expect(followRedirect(secure, to("http://api.example/"))).toEqual({ kind: "refused", problem: "redirects from https to http" });
    const plain = outgoingRequest(new URL("http://api.example/"), {});
    expect(followRedirect(plain, to("https://api.example/"))).toMatchObject({ kind: "to" });
  });

  it("takes a 3xx that is no redirect, or has no Location, for an answer", () => {
    const request = outgoingRequest(new URL("https://api.example/"), {});
    expect(followRedirect(request, to("/x", 304))).toEqual({ kind: "none" });
    expect(followRedirect(request, new Response(null, { status: 302 }))).toEqual({ kind: "none" });
  });

  it("refuses to repeat a streamed body, and follows when the body is dropped", () => {
    const request = outgoingRequest(new URL("https://api.example/"), { method: "POST", body: new ReadableStream() });
    expect(isReplayable(request)).toBe(false);
    expect(followRedirect(request, to("/x", 307))).toMatchObject({ kind: "refused" });
    expect(followRedirect(request, to("/x", 303))).toMatchObject({ kind: "to", request: { method: "GET", body: undefined } });
  });

  it("keeps HEAD after a 303", () => {
    const request = outgoingRequest(new URL("https://api.example/"), { method: "head" });
    expect(followRedirect(request, to("/x", 303))).toMatchObject({ kind: "to", request: { method: "HEAD" } });
  });
});
