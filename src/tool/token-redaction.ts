/** What stands in an answer in the place of an access token that the API sent back. */
export const redactedToken = "[access token]";

/**
 * Replaces an access token in a stream of bytes, also where two chunks share it: an API that echoes its request must
 * not hand the access token to the MCP client (B10, B11). Nothing is held back but what may be the token's beginning.
 */
export class TokenRedaction {
  readonly #token: Buffer;
  readonly #replacement = Buffer.from(redactedToken);
  #held: Buffer<ArrayBufferLike> = Buffer.alloc(0);

  constructor(token: string) {
    this.#token = Buffer.from(token, "latin1");
  }

  /** Takes a chunk and gives what is safe to pass on; it may be empty. */
  push(chunk: Uint8Array): Uint8Array {
    const all =
      this.#held.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([this.#held, chunk]);
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = all.indexOf(this.#token); at >= 0; at = all.indexOf(this.#token, from)) {
      parts.push(all.subarray(from, at), this.#replacement);
      from = at + this.#token.length;
    }
    const keep = this.#beginningAtEnd(all.subarray(from));
    parts.push(all.subarray(from, all.length - keep));
    // A copy: the chunk's memory belongs to the stream that it came from.
    this.#held = Buffer.from(all.subarray(all.length - keep));
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  /** What was held back, once the stream has ended. */
  end(): Uint8Array {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  /** How many bytes at the end of `bytes` are a proper beginning of the token. */
  #beginningAtEnd(bytes: Buffer): number {
    const most = Math.min(bytes.length, this.#token.length - 1);
    for (let length = most; length > 0; length -= 1) {
      if (bytes.subarray(bytes.length - length).equals(this.#token.subarray(0, length))) return length;
    }
    return 0;
  }
}
