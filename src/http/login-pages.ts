import { asLatchkeyError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { htmlPage } from "./html-page.ts";
import { isOurFault, problemOf } from "./problem.ts";

const home = { href: "/", text: "Back to the start" };

/** For a redirect that finishes no login of this browser: used, expired, or begun elsewhere (B7). The three look alike. */
export function staleLoginPage(): Response {
  return htmlPage({
    status: 400,
    title: "This sign-in cannot be finished",
    text: [
      "The sign-in was finished before, took longer than ten minutes, or was begun in another browser. Nobody was signed in by opening this page.",
      "Begin again in this browser. If it happens each time, check that cookies are allowed for this address.",
    ],
    links: [{ href: "/login", text: "Sign in" }, home],
  });
}

/** For a login that failed: what happened, and the way on. */
export function loginFailurePage(thrown: unknown, options: { readonly again: string; readonly logger: Logger }): Response {
  const error = asLatchkeyError(thrown);
  const { status } = problemOf(error);
  if (isOurFault(error)) options.logger.warn("A sign-in in a browser failed.", { code: error.code, error });
  return htmlPage({
    status,
    title: "Signing in did not work",
    text: [error.message, `Error code: ${error.code}.`],
    links: [{ href: options.again, text: "Try again" }, home],
  });
}
