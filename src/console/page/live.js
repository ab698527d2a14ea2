import { syncClock } from "./time.js";

const pollMs = 5_000;
const pollWhileLiveMs = 60_000;
const hiddenGraceMs = 20_000;

/**
 * Keeps the window informed: server-sent events, and polling every 5 s while they fail. `handlers`: `status` ("live",
 * "polling", "offline"), `sessions` (the whole list), `session` (one that changed), `refused` (an ApiError: this window
 * is not signed in any more), `ended`.
 */
export class Live {
  #api;
  #handlers;
  #events;
  #pollTimer;
  #reopenTimer;
  #hiddenTimer;
  #stopped = false;
  #isLive = false;

  constructor(api, handlers) {
    this.#api = api;
    this.#handlers = handlers;
    // A browser allows about six connections to one address: windows that nobody looks at give theirs back.
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
  }

  start() {
    this.#stopped = false;
    this.#open();
    this.#schedulePoll(pollMs);
  }

  /** For good: the window's login session is over. */
  stop() {
    this.#stopped = true;
    this.#pause();
  }

  #pause() {
    this.#events?.close();
    this.#events = undefined;
    this.#isLive = false;
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#reopenTimer);
  }

  #visibilityChanged() {
    clearTimeout(this.#hiddenTimer);
    if (this.#stopped) return;
    if (document.hidden) this.#hiddenTimer = setTimeout(() => this.#pause(), hiddenGraceMs);
    else if (this.#events === undefined) {
      this.#open();
      void this.#poll();
    }
  }

  #open() {
    this.#events?.close();
    const events = new EventSource(`/api/events?login=${encodeURIComponent(this.#api.handle)}`);
    this.#events = events;
    const on = (name, take) =>
      events.addEventListener(name, (event) => {
        if (this.#events !== events) return;
        const data = JSON.parse(event.data);
        syncClock(data.serverTime);
        take(data);
      });
    on("snapshot", ({ sessions }) => {
      this.#isLive = true;
      this.#handlers.status("live");
      this.#handlers.sessions(sessions);
      this.#schedulePoll(pollWhileLiveMs);
    });
    on("session", ({ session }) => this.#handlers.session(session));
    on("ended", (data) => {
      this.stop();
      this.#handlers.ended(data);
    });
    events.addEventListener("error", () => {
      if (this.#events !== events || this.#stopped) return;
      this.#isLive = false;
      void this.#poll();
      // The browser tries again by itself after a cut, but not after an answer that is no stream.
      clearTimeout(this.#reopenTimer);
      if (events.readyState === EventSource.CLOSED) this.#reopenTimer = setTimeout(() => this.#open(), pollMs);
    });
  }

  #schedulePoll(delay) {
    clearTimeout(this.#pollTimer);
    this.#pollTimer = setTimeout(() => this.#poll(), delay);
  }

  async #poll() {
    clearTimeout(this.#pollTimer);
    try {
      const { sessions } = await this.#api.get("/api/sessions");
      if (this.#stopped) return;
      if (!this.#isLive) this.#handlers.status("polling");
      this.#handlers.sessions(sessions);
    } catch (error) {
      if (this.#stopped) return;
      if (!error.isOutage) {
        this.stop();
        return this.#handlers.refused(error);
      }
      this.#isLive = false;
      this.#handlers.status("offline");
    }
    if (this.#events !== undefined) this.#schedulePoll(this.#isLive ? pollWhileLiveMs : pollMs);
  }
}
