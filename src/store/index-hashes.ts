import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/**
 * Keyed hashes of what must be searched but not be read in the store. They come from one random key that is kept
 * in the store, sealed: it stays when the sealing keys change, so that what was written before is found again.
 */
export class IndexHashes {
  /** For the hashes of refresh tokens. */
  readonly refreshTokenKey: Buffer;
  readonly #userKey: Buffer;
  readonly #sidKey: Buffer;
  readonly #rowKey: Buffer;
  readonly #authorizationServerKey: Buffer;
  readonly #usedIdKey: Buffer;

  constructor(indexKey: Buffer) {
    const derive = (purpose: string): Buffer => Buffer.from(hkdfSync("sha256", indexKey, "latchkey index 1", purpose, 32));
    this.refreshTokenKey = derive("refresh tokens");
    this.#userKey = derive("users");
    this.#sidKey = derive("sids");
    this.#rowKey = derive("rows");
    this.#authorizationServerKey = derive("authorization server records");
    this.#usedIdKey = derive("used ids");
  }

  /** Stands for a user. */
  user(issuer: string, subject: string): string {
    return createHmac("sha256", this.#userKey)
      .update(JSON.stringify([issuer, subject]))
      .digest("base64url");
  }

  /** Stands for a session at an authorization server. */
  sid(issuer: string, sid: string): string {
    return createHmac("sha256", this.#sidKey)
      .update(JSON.stringify([issuer, sid]))
      .digest("base64url");
  }

  /** Stands for one of the names of a record of Latchkey's authorization server. */
  authorizationServerRecord(name: "id" | "uid" | "user code" | "grant", kind: string, value: string): string {
    return createHmac("sha256", this.#authorizationServerKey)
      .update(JSON.stringify([name, kind, value]))
      .digest("base64url");
  }

  /** Stands for an id that was used. */
  usedId(kind: string, id: string): string {
    return createHmac("sha256", this.#usedIdKey)
      .update(JSON.stringify([kind, id]))
      .digest("base64url");
  }

  /** Goes with a row that is not sealed, so that its columns cannot be exchanged for those of another row (B14). */
  rowMac(table: string, columns: readonly unknown[]): string {
    return createHmac("sha256", this.#rowKey)
      .update(JSON.stringify([table, ...columns]))
      .digest("base64url");
  }

  /** Whether a row is as it was written. */
  isRow(table: string, columns: readonly unknown[], mac: string): boolean {
    const expected = Buffer.from(this.rowMac(table, columns));
    const given = Buffer.from(mac);
    return expected.length === given.length && timingSafeEqual(expected, given);
  }
}
