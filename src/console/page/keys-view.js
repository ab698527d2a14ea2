import { clientEntries } from "./client-entries.js";
import { copyBlock } from "./copy.js";
import { alertBox, announce, busy, el, fill } from "./dom.js";
import { date } from "./time.js";

const lifetimes = [
  ["", "until you sign out"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["2592000", "30 days"],
  ["31536000", "1 year"],
];

/** Connection keys of the window's login session: make one, paste it into a client, remove it. */
export class KeysView {
  #api;
  #path;
  #name = el("input", {
    id: "key-name",
    name: "name",
    required: true,
    maxlength: "100",
    autocomplete: "off",
    placeholder: "for example: laptop, Claude",
  });
  #lifetime = el("select", { id: "key-lifetime", name: "lifetime" }, ...lifetimes.map(([value, text]) => el("option", { value }, text)));
  #submit = el("button", { type: "submit", class: "button primary" }, "Make a key");
  #made = el("div", { class: "made", hidden: true });
  #list = el("div");
  #alert = alertBox();

  constructor(api) {
    this.#api = api;
    this.#path = `/api/sessions/${encodeURIComponent(api.handle)}/keys`;
    const form = el(
      "form",
      { class: "key-form" },
      el("div", { class: "field" }, el("label", { for: "key-name" }, "Name of the key"), this.#name),
      el("div", { class: "field" }, el("label", { for: "key-lifetime" }, "Valid"), this.#lifetime),
      this.#submit,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void busy(this.#submit, "Making…", () => this.#make());
    });
    this.node = el(
      "section",
      { class: "card", "aria-labelledby": "keys-title" },
      el("h2", { id: "keys-title" }, "Connect an MCP client"),
      el(
        "p",
        { class: "lead" },
        "A connection key lets a client act as you, through this login session alone. It ends when you sign out of it. Keep it like a password.",
      ),
      form,
      this.#alert.node,
      this.#made,
      this.#list,
    );
  }

  async load() {
    try {
      const { keys } = await this.#api.get(this.#path);
      this.#show(keys);
    } catch (error) {
      fill(
        this.#list,
        el("p", { class: "empty" }, `The keys cannot be shown. ${error.message} `),
        el("button", { type: "button", class: "button small", onclick: () => this.load() }, "Try again"),
      );
    }
  }

  async #make() {
    this.#alert.clear();
    const lifetime = this.#lifetime.value;
    try {
      const made = await this.#api.post(this.#path, {
        name: this.#name.value,
        ...(lifetime === "" ? {} : { expiresInSeconds: Number(lifetime) }),
      });
      this.#name.value = "";
      this.#showMade(made);
    } catch (error) {
      return this.#alert.say(`No key was made. ${error.message}`);
    }
    await this.load();
  }

  /** The one time that the key is shown. It lives in this part of the page only, and goes with it. */
  #showMade({ name, key }) {
    const done = el("button", { type: "button", class: "button" }, "I have copied it");
    done.addEventListener("click", () => {
      fill(this.#made);
      this.#made.hidden = true;
      this.#name.focus();
    });
    const entries = clientEntries(location.origin, key).map(({ label, text }, index) =>
      el("details", { open: index === 0 }, el("summary", {}, label), copyBlock(label, text)),
    );
    const heading = el("h3", { tabindex: "-1" }, `Key “${name}”: copy it now`);
    fill(
      this.#made,
      heading,
      el("p", {}, "It is not shown again. If you lose it, remove it and make another."),
      copyBlock("The key", key),
      el("h4", {}, "Ready to paste into your client"),
      ...entries,
      el("p", { class: "actions" }, done),
    );
    this.#made.hidden = false;
    heading.focus();
    announce("The key was made. Copy it now: it is not shown again.");
  }

  #show(keys) {
    if (keys.length === 0) return fill(this.#list, el("p", { class: "empty" }, "There are no keys yet."));
    const rows = keys.map((key) => {
      const remove = el("button", { type: "button", class: "button small danger", "aria-label": `Remove the key ${key.name}` }, "Remove");
      remove.addEventListener("click", () => void busy(remove, "Removing…", () => this.#remove(key)));
      const end = key.expires === undefined ? "when you sign out" : key.expired ? "expired" : date(key.expires);
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, key.name),
        el("td", { "data-label": "Made" }, date(key.created)),
        el("td", { "data-label": "Ends" }, end),
        el("td", { class: "right" }, remove),
      );
    });
    const head = ["Name", "Made", "Ends"].map((text) => el("th", { scope: "col" }, text));
    fill(
      this.#list,
      el(
        "table",
        { class: "keys" },
        el("caption", { class: "visually-hidden" }, "Connection keys of this login session"),
        el("thead", {}, el("tr", {}, ...head, el("td"))),
        el("tbody", {}, ...rows),
      ),
    );
  }

  async #remove(key) {
    this.#alert.clear();
    try {
      await this.#api.delete(`${this.#path}/${encodeURIComponent(key.id)}`);
      announce(`The key ${key.name} was removed.`);
      await this.load();
    } catch (error) {
      this.#alert.say(`The key “${key.name}” is still there. ${error.message}`, { label: "Try again", run: () => this.#remove(key) });
    }
  }
}
