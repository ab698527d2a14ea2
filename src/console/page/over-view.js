import { el } from "./dom.js";

/** A window that speaks for no login session any more: signed out, ended elsewhere, or not of this browser. */
export function overView({ title, lines, endSessionUrl }) {
  return el(
    "section",
    { class: "card hero" },
    el("h1", {}, title),
    ...lines.map((line) => el("p", { class: "lead" }, line)),
    el(
      "p",
      { class: "actions" },
      el("a", { class: "button primary", href: "/login" }, "Sign in"),
      el("a", { class: "button", href: "/login?prompt=login" }, "Sign in as another user"),
      el("a", { class: "button", href: "/" }, "Logins of this browser"),
    ),
    endSessionUrl &&
      el(
        "p",
        { class: "hint" },
        "The authorization server may still know you in this browser. ",
        el("a", { href: endSessionUrl, rel: "noreferrer" }, "Sign out there too"),
        ".",
      ),
  );
}
