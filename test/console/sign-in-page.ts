import { type Listener, listen } from "../../src/http/listen.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** The part of an authorization server that a browser sees: a form that asks for a name, and the redirect back. */
export async function startSignInPage(): Promise<Listener & { readonly authorizeUrl: string }> {
  const listener = await listen({ host: "127.0.0.1", port: 0, clock: new ManualClock() });
  listener.serve((request, response) => {
    const { searchParams } = new URL(request.url ?? "/", listener.url);
    const name = searchParams.get("name");
    const [state, redirectUri] = [searchParams.get("state") ?? "", searchParams.get("redirect_uri") ?? ""];
    if (name === null) {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<!doctype html><form><input name="name"><input type="hidden" name="state" value="${state}">
        <input type="hidden" name="redirect_uri" value="${redirectUri}"><button>Go</button></form>`);
      return;
    }
    response.writeHead(303, { location: `${redirectUri}?${new URLSearchParams({ state, code: name })}` }).end();
  });
  return { ...listener, authorizeUrl: `${listener.url}/authorize` };
}
