/** The cookies of one public address (RFC 6265). All are HttpOnly and SameSite=Lax. */
export class Cookies {
  readonly #secure: boolean;
  readonly #port: string;

  constructor(publicUrl: URL) {
    this.#secure = publicUrl.protocol === "https:";
    this.#port = publicUrl.port || "80";
  }

  /** The browser session's secret, if the browser sent one that we could have made. */
  readBrowser(header: string | undefined): string | undefined {
    const name = this.#name("browser");
    return this.#pairs(header).find((pair) => pair.name === name)?.value;
  }

  /** A Set-Cookie header that keeps the browser session's secret. */
  writeBrowser(value: string, maxAgeSeconds: number): string {
    return this.#write(this.#name("browser"), value, maxAgeSeconds);
  }

  /**
   * The secrets of the logins that this browser has begun lately, the one named `login` first. Each login has a cookie of
   * its own: two windows that begin side by side would otherwise overwrite each other's.
   */
  readLogins(login: string, header: string | undefined): { readonly own: string | undefined; readonly all: readonly string[] } {
    const prefix = this.#name("login_");
    const found = this.#pairs(header).filter((pair) => pair.name.startsWith(prefix));
    const own = found.find((pair) => pair.name === prefix + login)?.value;
    return { own, all: [...new Set([...(own === undefined ? [] : [own]), ...found.map((pair) => pair.value)])] };
  }

  /** A Set-Cookie header for a login that begins, and one for each old one that would make too many. */
  writeLogin(login: string, value: string, maxAgeSeconds: number, header: string | undefined): readonly string[] {
    const prefix = this.#name("login_");
    const old = this.#pairs(header).filter((pair) => pair.name.startsWith(prefix) && pair.name !== prefix + login);
    const tooMany = old.slice(0, Math.max(0, old.length - mostLogins + 1));
    return [this.#write(prefix + login, value, maxAgeSeconds), ...tooMany.map((pair) => this.#write(pair.name, "", 0))];
  }

  /**
   * `__Host-latchkey_browser` over https; `latchkey_browser_8420` over http, where a prefix is not to be had and two
   * servers on one machine share their cookies, since cookies ignore ports.
   */
  #name(purpose: "browser" | "login_"): string {
    if (this.#secure) return `__Host-latchkey_${purpose}`;
    return purpose === "browser" ? `latchkey_browser_${this.#port}` : `latchkey_login_${this.#port}_`;
  }

  #pairs(header: string | undefined): readonly { readonly name: string; readonly value: string }[] {
    return (header ?? "")
      .split(";")
      .map(splitOnce)
      .filter((pair) => ourValue.test(pair.value));
  }

  #write(name: string, value: string, maxAgeSeconds: number): string {
    return `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${this.#secure ? "; Secure" : ""}`;
  }
}

/** So many logins may be under way in one browser; cookies have to fit into a header. */
const mostLogins = 8;

/** 256 random bits in base64url. Anything else under our name was planted, or comes from another program. */
const ourValue = /^[A-Za-z0-9_-]{43}$/;

function splitOnce(pair: string): { readonly name: string; readonly value: string } {
  const at = pair.indexOf("=");
  return at < 0 ? { name: pair.trim(), value: "" } : { name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim() };
}
