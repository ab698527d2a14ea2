import { alertBox, announce, busy, el, fill } from "./dom.js";

const faults = [
  { label: "Down for 30 s", body: { kind: "down", seconds: 30 }, said: "The authorization server is down for 30 seconds." },
  { label: "503 for 30 s", body: { kind: "503", seconds: 30 }, said: "The authorization server answers 503 for 30 seconds." },
  { label: "Slow for 60 s", body: { kind: "slow", seconds: 60 }, said: "The authorization server answers late for 60 seconds." },
  { label: "Lose the next reply", body: { kind: "drop-reply", seconds: 120, count: 1 }, said: "The next reply will be lost." },
  { label: "Lose the next request", body: { kind: "drop-request", seconds: 120, count: 1 }, said: "The next request will be lost." },
];
const eventsShown = 12;
const pollMs = 3_000;

/** The demo's buttons: make the authorization server fail, and watch what happens to tokens there. */
export class DemoView {
  #api;
  #alert = alertBox();
  #said = el("p", { class: "said", role: "status" });
  #events = el("div", { class: "scroll" });
  #timer;

  constructor(api) {
    this.#api = api;
    const buttons = faults.map(({ label, body, said }) => {
      const button = el("button", { type: "button", class: "button small" }, label);
      button.addEventListener("click", () => void busy(button, "Setting…", () => this.#set(body, said)));
      return button;
    });
    this.node = el(
      "section",
      { class: "card", "aria-labelledby": "demo-title" },
      el("h2", { id: "demo-title" }, "Demo: make it fail"),
      el(
        "p",
        { class: "lead" },
        "These buttons disturb the demo's authorization server. Watch the login session on this page: calls go on while the access token lasts, and it recovers by itself.",
      ),
      el("div", { class: "actions" }, ...buttons),
      this.#said,
      this.#alert.node,
      el("h3", {}, "What happened to tokens there"),
      this.#events,
    );
  }

  start() {
    void this.#load();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #set(body, said) {
    this.#alert.clear();
    try {
      await this.#api.post("/api/demo/fault", body);
      this.#said.textContent = said;
      announce(said);
    } catch (error) {
      this.#alert.say(`The fault was not set. ${error.message}`);
    }
  }

  async #load() {
    clearTimeout(this.#timer);
    if (!document.hidden) {
      try {
        const { events } = await this.#api.get("/api/demo/events");
        this.#show(events.slice(-eventsShown).reverse());
      } catch {
        // The live indicator above says already that the server cannot be reached.
      }
    }
    this.#timer = setTimeout(() => this.#load(), pollMs);
  }

  #show(events) {
    if (events.length === 0) return fill(this.#events, el("p", { class: "empty" }, "Nothing yet."));
    const head = ["Time", "What", "User", "Generation"].map((text) => el("th", { scope: "col" }, text));
    const rows = events.map(({ time, kind, user, generation }) =>
      el(
        "tr",
        {},
        el("td", {}, new Date(time).toLocaleTimeString(undefined, { hour12: false })),
        el("td", {}, el("span", { class: `badge ${kind === "reuse" ? "bad" : "plain"}` }, kind)),
        el("td", {}, user ?? "—"),
        el("td", {}, generation === undefined ? "—" : String(generation)),
      ),
    );
    fill(this.#events, el("table", { class: "events" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
  }
}
