import type { ConsentRequest } from "../authorization-server/consents.ts";
import { html, htmlPage } from "./html-page.ts";

/** The question whether an MCP client may act for the user. It is asked before the browser leaves for the sign-in. */
export function consentPage(consent: ConsentRequest, servers: readonly { readonly name: string; readonly host: string }[]): Response {
  const name = consent.clientName ?? consent.clientHost ?? "An application without a name";
  const choices = servers.map(
    ({ name: server, host }) =>
      html`<button class="button primary" type="submit" name="server" value="${server}">${
        servers.length === 1 ? "Allow and sign in" : `Allow and sign in at ${host}`
      }</button>`,
  );
  return htmlPage({
    status: 200,
    title: "Let this application act for you?",
    text: [
      `${name} asks to use the tools of this server as you. If you allow it, you sign in next, and it can act for you until you sign it out here.`,
      consent.clientHost === undefined
        ? "The name is what the application says of itself; nobody has checked it."
        : `The application is described at ${consent.clientHost}.`,
      `The answer goes to ${consent.redirectHost}. Allow it only if you have just begun this there.`,
      ...(consent.isLoopback
        ? ["That is a program on your own machine, and nothing says which one. Any program there could have asked under this name."]
        : []),
    ],
    body: html`<dl class="facts">
<dt>Application</dt><dd>${name}</dd>
<dt>Described by</dt><dd>${consent.clientHost ?? "itself"}</dd>
<dt>Answer goes to</dt><dd>${consent.redirectHost}</dd>
<dt>Asks for</dt><dd>${consent.scopes.map(describeScope).join(", ")}</dd>
</dl>
<form method="post" action="/oauth/consent/${consent.uid}">
<input type="hidden" name="csrf_token" value="${consent.csrfToken}">
<p class="actions">${choices}
<button class="button" type="submit" name="decision" value="refuse">Refuse</button></p>
</form>`,
    links: [],
  });
}

/**
 * Sends the browser on after a form was posted. A page and no redirect: browsers apply `form-action` to where the answer of
 * a form leads, and it leads to whichever address an authorization server or a client has.
 */
export function onwardPage(address: string): Response {
  return htmlPage({
    status: 200,
    title: "One moment",
    text: ["You are sent on. If nothing happens, follow the link."],
    links: [{ href: address, text: "Go on" }],
    refreshTo: address,
  });
}

/** For a question that is not this browser's to answer: answered before, too old, or begun elsewhere. The three look alike. */
export function staleConsentPage(): Response {
  return htmlPage({
    status: 400,
    title: "There is nothing to answer here any more",
    text: [
      "The question was answered before, is too old, or was asked in another browser. Nothing was allowed by opening this page.",
      "Begin again in the application. If it happens each time, check that cookies are allowed for this address.",
    ],
    links: [{ href: "/", text: "To the start" }],
  });
}

function describeScope(scope: string): string {
  return scope === "mcp" ? "using the tools as you" : scope;
}
