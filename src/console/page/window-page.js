import { ApiError } from "./api.js";
import { DemoView } from "./demo-view.js";
import { announce, el, show } from "./dom.js";
import { KeysView } from "./keys-view.js";
import { Live } from "./live.js";
import { overView } from "./over-view.js";
import { SessionsView } from "./sessions-view.js";
import { serverNow } from "./time.js";
import { describeState, displayName, reason, revocation } from "./words.js";

const connectionWords = {
  live: "Live",
  polling: "Polling every 5 s",
  offline: "Offline: what you see is old",
};

/** One window for one login session: `/s/HANDLE`. */
export class WindowPage {
  #api;
  #live;
  #sessions;
  #demo;
  #ticker;
  #forget;
  #lastTone;

  /** `forget`: called once the window's login session is over. */
  constructor(api, { forget }) {
    this.#api = api;
    this.#forget = forget;
  }

  async open() {
    let me;
    try {
      me = await this.#api.me();
    } catch (error) {
      return this.#cannotOpen(error);
    }
    document.title = `${displayName(me.user)} · Latchkey`;
    this.#sessions = new SessionsView(this.#api.handle, (handle) => this.#end(handle));
    const keys = new KeysView(this.#api);
    if (me.demo) this.#demo = new DemoView(this.#api);
    show(
      el(
        "div",
        { class: "window" },
        el("h1", { class: "visually-hidden" }, `Login sessions of ${displayName(me.user)}`),
        this.#sessions.node,
        el("div", { class: "stack" }, keys.node, this.#demo?.node),
      ),
    );
    this.#live = new Live(this.#api, {
      status: (status) => showConnection(status),
      sessions: (sessions) => this.#sessions.setAll(sessions),
      session: (session) => this.#sessions.set(session),
      ended: ({ reason: code }) => this.#endedElsewhere(code),
      refused: (error) => this.#cannotOpen(error),
    });
    this.#live.start();
    this.#demo?.start();
    this.#ticker = setInterval(() => this.#tick(), 500);
    await keys.load();
  }

  #tick() {
    this.#sessions.tick();
    const own = this.#sessions.get(this.#api.handle);
    if (own === undefined) return;
    const { label, tone } = describeState(own, serverNow());
    if (this.#lastTone !== undefined && this.#lastTone !== tone) announce(`This login session: ${label}.`);
    this.#lastTone = tone;
  }

  /** Ends a login session at the server. Rejects when the server did not confirm; nothing has changed here then (R16). */
  async #end(handle) {
    const isOwn = handle === this.#api.handle;
    const answer = await this.#api.delete(`/api/sessions/${encodeURIComponent(handle)}`).catch((error) => {
      // Ended before, in another window: that is a confirmation too.
      if (isOwn && error instanceof ApiError && error.code === "login_ended") return { state: "ended", revocation: "" };
      throw error;
    });
    if (answer?.state !== "ended") throw new Error("Its answer was not the one that this page expects.");
    if (isOwn)
      return this.#over({ title: "You are signed out", lines: [revocation(answer.revocation)], endSessionUrl: answer.endSessionUrl });
    const known = this.#sessions.get(handle);
    if (known !== undefined)
      this.#sessions.set({ ...known, state: "ended", reason: "logout", accessTokenExpires: undefined, nextRefresh: undefined });
    announce("The login session has ended.");
  }

  #endedElsewhere(code) {
    this.#over({ title: "This login session has ended", lines: [reason(code)] });
  }

  #over(content) {
    this.#close();
    this.#forget();
    document.title = "Signed out · Latchkey";
    show(overView({ ...content, lines: content.lines.filter((line) => line !== "") }), { focus: true });
    announce(content.title);
  }

  #close() {
    this.#live?.stop();
    this.#demo?.stop();
    clearInterval(this.#ticker);
    document.getElementById("connection").hidden = true;
  }

  #cannotOpen(error) {
    if (error.isOutage) return this.#showOutage(error);
    if (error.code === "login_ended") return this.#endedElsewhere(error.problem.reason);
    this.#over({
      title: "This window is not signed in",
      lines: ["The login session of this address is not one of this browser's. It may have been signed out, or belong to another browser."],
    });
  }

  #showOutage(error) {
    this.#close();
    const again = el("button", { type: "button", class: "button primary", onclick: () => this.open() }, "Try again");
    show(
      el(
        "section",
        { class: "card hero", role: "alert" },
        el("h1", {}, "Latchkey does not answer"),
        el("p", { class: "lead" }, `${error.message} You are not signed out by this.`),
        el("p", { class: "actions" }, again),
      ),
    );
  }
}

function showConnection(status) {
  const node = document.getElementById("connection");
  node.hidden = false;
  if (node.dataset.status === status) return;
  node.dataset.status = status;
  node.textContent = connectionWords[status];
}
