/** The server's clock minus this machine's, in milliseconds: countdowns are right even where the two differ. */
let offset = 0;

/** Takes the server's time from an answer that began to arrive just now. */
export function syncClock(serverTime) {
  const time = Date.parse(serverTime);
  if (!Number.isNaN(time)) offset = time - Date.now();
}

/** The server's time now, milliseconds since the epoch. */
export function serverNow() {
  return Date.now() + offset;
}

/** `0:23`, `4:05`, `2 h 5 min`, `3 d 4 h`. Never negative. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** `12 s ago`, `3 min ago`, or a date. */
export function ago(iso, now = serverNow()) {
  if (iso === undefined) return "never";
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return date(iso);
}

/** `in 12 s`, `now`, or a dash where nothing is due. */
export function ahead(iso, now = serverNow()) {
  if (iso === undefined) return "—";
  const seconds = Math.ceil((Date.parse(iso) - now) / 1000);
  if (seconds <= 0) return "now";
  return seconds < 60 ? `in ${seconds} s` : `in ${span(seconds * 1000)}`;
}

/** A date and time in the reader's own way. */
export function date(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
