import { createHmac, timingSafeEqual } from "node:crypto";
import { LatchkeyError } from "../errors.ts";
import type { OpenBrowserSession } from "./browser-sessions.ts";
import type { RouteContext } from "./route.ts";
import type { WebServices } from "./web-services.ts";

/**
 * The CSRF token of a browser session: the same as long as its cookie is the same, and not to be had without it.
 * When another window signs in, the cookie changes, and a window has to ask `GET /api/me` again.
 */
export function csrfTokenOf(open: OpenBrowserSession): string {
  return createHmac("sha256", open.cookie).update("latchkey csrf token").digest("base64url");
}

/** Lets a changing call pass only if it comes from a page of ours, in the browser that holds the cookie. */
export class CsrfGuard {
  readonly #origin: string;
  readonly #services: Pick<WebServices, "audit" | "clientAddress">;

  constructor(publicUrl: URL, services: Pick<WebServices, "audit" | "clientAddress">) {
    this.#origin = publicUrl.origin;
    this.#services = services;
  }

  /** Throws LatchkeyError `forbidden` with `details.reason` `origin` or `csrf_token`, after an audit event. */
  check(context: RouteContext, open: OpenBrowserSession, token: string | undefined): void {
    this.checkOrigin(context);
    if (token === undefined || !isEqual(token, csrfTokenOf(open)))
      throw this.#refused(
        context,
        "csrf_token",
        "The CSRF token is missing or was replaced by a newer sign-in in this browser. Take `csrfToken` from GET /api/me and try again.",
      );
  }

  /** The first half of it, for a form with a token of its own. */
  checkOrigin(context: RouteContext): void {
    if (!this.#isSameOrigin(context)) throw this.#refused(context, "origin", "This call does not come from a page of Latchkey.");
  }

  /** Origin (RFC 6454) where the browser sends one, which it does on every POST and DELETE; else Fetch Metadata. */
  #isSameOrigin(context: RouteContext): boolean {
    const origin = context.req.header("origin");
    if (origin !== undefined) return origin === this.#origin;
    return context.req.header("sec-fetch-site") === "same-origin";
  }

  #refused(context: RouteContext, reason: "origin" | "csrf_token", message: string): LatchkeyError {
    const { audit, clientAddress } = this.#services;
    const { method, path } = context.req;
    audit.record({ event: "csrf_refused", reason, method, route: path.slice(0, 200), address: clientAddress(context.env.incoming) });
    return new LatchkeyError("forbidden", message, { details: { reason } });
  }
}

/** Compares two secrets in a time that depends on the first one's length alone. */
export function isEqual(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((each) => createHmac("sha256", "compare").update(each).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
