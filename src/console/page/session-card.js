import { alertBox, busy, el, fill, setText } from "./dom.js";
import { ago, ahead, date, serverNow, span } from "./time.js";
import { describeState, displayName, issuerHost, origin } from "./words.js";

/** One login session on the page. It is updated in place, so that focus and alerts stay. */
export class SessionCard {
  #session;
  #badge = el("span", { class: "badge" });
  #note = el("p", { class: "note", hidden: true });
  #countdown = el("span", { class: "countdown", role: "timer" });
  #bar = el("span", { class: "meter-fill" });
  #meter = el("div", { class: "meter", "aria-hidden": "true" }, this.#bar);
  #facts = { last: el("dd"), next: el("dd"), connections: el("dd"), origin: el("dd"), created: el("dd") };
  #actions = el("div", { class: "actions" });
  #alert = alertBox();
  #lifetime = 0;
  #repair;
  #end;

  /** `isOwn`: this window's. `end`: ends the login session at the server; rejects when the server did not confirm. */
  constructor(session, { isOwn, end }) {
    this.#session = session;
    this.handle = session.id;
    const title = isOwn ? displayName(session) : `Signed in ${date(session.created)}`;
    const heading = el("h3", { id: `title-${session.id}` }, title);
    const who = el("p", { class: "who" }, isOwn ? `${session.subject} at ${issuerHost(session.issuer)}` : origin(session));
    this.node = el(
      "article",
      { class: isOwn ? "session own" : "session", "aria-labelledby": `title-${session.id}`, "data-login": session.id },
      el("div", { class: "session-head" }, el("div", {}, heading, who), this.#badge),
      this.#note,
      el("div", { class: "token" }, el("span", { class: "label" }, "Access token"), this.#countdown, this.#meter),
      el(
        "dl",
        { class: "facts" },
        fact("Last refresh", this.#facts.last),
        fact("Next refresh", this.#facts.next),
        fact("Connections", this.#facts.connections),
        isOwn && fact("From", this.#facts.origin),
        isOwn && fact("Signed in", this.#facts.created, "wide"),
      ),
      this.#alert.node,
      this.#actions,
    );
    this.#repair = el("a", { class: "button primary", href: `/login?repair=${encodeURIComponent(session.id)}` }, "Sign in again");
    this.#end = el("button", { type: "button", class: "button danger" }, isOwn ? "Sign out" : "End this session");
    this.#end.addEventListener("click", () => this.#press(end, isOwn));
    this.update(session);
  }

  get session() {
    return this.#session;
  }

  /** Shows what the server said last. */
  update(session) {
    this.#session = session;
    const { accessTokenExpires: expires, lastRefresh } = session;
    if (expires !== undefined) this.#lifetime = Date.parse(expires) - Date.parse(lastRefresh ?? session.created);
    const over = session.state === "ended";
    fill(this.#actions, session.state === "login_required" && this.#repair, !over && this.#end);
    if (over) this.#alert.clear();
    setText(this.#facts.connections, String(session.connections));
    setText(this.#facts.origin, origin(session));
    setText(this.#facts.created, date(session.created));
    this.tick();
  }

  /** Moves what depends on the time. */
  tick() {
    const session = this.#session;
    const now = serverNow();
    const { label, tone, text } = describeState(session, now);
    setText(this.#badge, label);
    this.#badge.className = `badge ${tone}`;
    this.node.dataset.state = session.state;
    this.node.dataset.tone = tone;
    const note = [text, session.state === "ended" ? undefined : session.clock].filter((each) => each !== undefined).join(" ");
    setText(this.#note, note);
    this.#note.hidden = note === "";
    const left = session.accessTokenExpires === undefined ? 0 : Date.parse(session.accessTokenExpires) - now;
    setText(this.#countdown, left > 0 ? span(left) : "none");
    const share = this.#lifetime > 0 ? Math.min(1, Math.max(0, left / this.#lifetime)) : 0;
    this.#bar.style.transform = `scaleX(${share})`;
    setText(this.#facts.last, ago(session.lastRefresh, now));
    setText(this.#facts.next, session.nextRefresh === undefined ? "—" : ahead(session.nextRefresh, now));
  }

  /** R16: nothing is taken away before the server has confirmed; until then the page says that it has not. */
  async #press(end, isOwn) {
    this.#alert.clear();
    await busy(this.#end, isOwn ? "Signing out…" : "Ending…", async () => {
      try {
        await end(this.handle);
      } catch (error) {
        const still = isOwn ? "You are still signed in" : "This login session is still there";
        this.#alert.say(`${still}: the server did not confirm. ${error.message}`, {
          label: "Try again",
          run: () => this.#press(end, isOwn),
        });
      }
    });
  }
}

function fact(name, value, width) {
  return el("div", { class: width }, el("dt", {}, name), value);
}
