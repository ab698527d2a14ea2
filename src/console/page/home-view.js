import { el } from "./dom.js";
import { describeState, displayName, issuerHost } from "./words.js";

/** The start page: who is signed in in this browser, and the way to sign in. */
export function homeView({ signedIn, here, isDemo }) {
  return signedIn.length === 0 ? welcome(isDemo) : choice(signedIn, here, isDemo);
}

function welcome(isDemo) {
  return el(
    "section",
    { class: "card hero" },
    el("h1", {}, "Sign in to Latchkey"),
    el(
      "p",
      { class: "lead" },
      "Latchkey lets your MCP clients act as you. Sign in once; it keeps the login alive, and revokes it when you sign out.",
    ),
    el("p", { class: "actions" }, el("a", { class: "button primary big", href: "/login" }, "Sign in")),
    isDemo && demoHint(),
  );
}

function choice(signedIn, here, isDemo) {
  const items = signedIn.map((login) => {
    const isUsable = login.state !== "login_required";
    const state = isUsable ? { label: "Signed in", tone: "good" } : describeState(login, 0);
    const address = `/s/${encodeURIComponent(login.id)}`;
    const name = displayName(login);
    return el(
      "li",
      { class: "login" },
      el("span", { class: "avatar", "aria-hidden": "true" }, name.slice(0, 1).toUpperCase()),
      el(
        "div",
        { class: "login-who" },
        el("strong", {}, name),
        el(
          "span",
          { class: "who" },
          `${login.subject} at ${issuerHost(login.issuer)}${login.id === here ? " · last used in this window" : ""}`,
        ),
      ),
      el("span", { class: `badge ${state.tone}` }, state.label),
      el(
        "div",
        { class: "actions" },
        el("a", { class: "button primary", href: address, "aria-label": `Open ${name}` }, "Open"),
        el(
          "a",
          { class: "button", href: address, target: "_blank", rel: "noopener", "aria-label": `Open ${name} in a new window` },
          "New window",
        ),
      ),
    );
  });
  return el(
    "section",
    { class: "card hero" },
    el("h1", {}, "Signed in in this browser"),
    el("p", { class: "lead" }, "Each window belongs to one login. Several users can be signed in side by side."),
    el("ul", { class: "logins" }, ...items),
    el("p", { class: "actions" }, el("a", { class: "button", href: "/login?prompt=login" }, "Sign in as another user")),
    isDemo && demoHint(),
  );
}

function demoHint() {
  return el(
    "p",
    { class: "hint" },
    "This is the demo: any name signs in, with the name as its password. Be ",
    el("kbd", {}, "carol"),
    " in this window, and ",
    el("kbd", {}, "dave"),
    " in another.",
  );
}
