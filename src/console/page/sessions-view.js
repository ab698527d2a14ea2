import { el, fill } from "./dom.js";
import { SessionCard } from "./session-card.js";

/** The window's own login session on top, the user's others below, newest first. */
export class SessionsView {
  #own;
  #end;
  #cards = new Map();
  #ownPlace = el("div");
  #list = el("div", { class: "session-list" });
  #count = el("span", { class: "count" });
  #empty = el("p", { class: "empty" }, "You have no other login sessions. One is made for each sign-in, here or in another browser.");

  constructor(own, end) {
    this.#own = own;
    this.#end = end;
    this.node = el("div", { class: "stack" });
    fill(
      this.node,
      el("section", { class: "card", "aria-labelledby": "own-title" }, el("h2", { id: "own-title" }, "This window"), this.#ownPlace),
      el(
        "section",
        { class: "card", "aria-labelledby": "others-title" },
        el("h2", { id: "others-title" }, "My other login sessions ", this.#count),
        this.#empty,
        this.#list,
      ),
    );
  }

  /** The whole list, as the server has it. What is not in it is gone. */
  setAll(sessions) {
    const present = new Set(sessions.map((session) => session.id));
    for (const [handle, card] of this.#cards) {
      if (present.has(handle)) continue;
      card.node.remove();
      this.#cards.delete(handle);
    }
    for (const session of sessions) this.set(session);
  }

  /** One login session that is new or has changed. */
  set(session) {
    const known = this.#cards.get(session.id);
    if (known !== undefined) known.update(session);
    else this.#add(session);
    this.#order();
  }

  get(handle) {
    return this.#cards.get(handle)?.session;
  }

  tick() {
    for (const card of this.#cards.values()) card.tick();
  }

  #add(session) {
    const card = new SessionCard(session, { isOwn: session.id === this.#own, end: this.#end });
    this.#cards.set(session.id, card);
    if (session.id === this.#own) fill(this.#ownPlace, card.node);
  }

  /** Live ones first, then by age. Moving a node that is in its place already would take the focus from its button. */
  #order() {
    const others = [...this.#cards.values()].filter((card) => card.handle !== this.#own);
    const rank = (card) => (card.session.state === "ended" ? 1 : 0);
    others.sort((a, b) => rank(a) - rank(b) || Date.parse(b.session.created) - Date.parse(a.session.created));
    others.forEach((card, index) => {
      const here = this.#list.children[index];
      if (here !== card.node) this.#list.insertBefore(card.node, here ?? null);
    });
    this.#empty.hidden = others.length > 0;
    this.#count.textContent = others.length > 0 ? String(others.length) : "";
  }
}
