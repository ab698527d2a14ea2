/** What a piece of input held: whole lines, and lines that were longer than the limit. */
export type Line = { readonly kind: "line"; readonly text: string } | { readonly kind: "too_long" };

const newline = 0x0a;

/** Cuts a stream of bytes into lines of UTF-8. A line over the limit is skipped to its end and reported once. */
export class LineReader {
  readonly #limitBytes: number;
  /** Kept in pieces until the line is whole: joining them at each arrival would take quadratic time. */
  #pieces: Buffer[] = [];
  #size = 0;
  #isSkipping = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that end in `chunk`; empty ones are left out. */
  push(chunk: Buffer): readonly Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      this.#take(chunk.subarray(from, end), lines);
      this.#finish(lines);
      from = end + 1;
    }
    if (from < chunk.length) this.#take(chunk.subarray(from), lines);
    return lines;
  }

  /** The last line, if the input ended without a line end. */
  end(): readonly Line[] {
    const lines: Line[] = [];
    this.#finish(lines);
    return lines;
  }

  #take(piece: Buffer, lines: Line[]): void {
    if (this.#isSkipping) return;
    this.#size += piece.length;
    if (this.#size <= this.#limitBytes) {
      if (piece.length > 0) this.#pieces.push(piece);
      return;
    }
    this.#isSkipping = true;
    this.#pieces = [];
    lines.push({ kind: "too_long" });
  }

  #finish(lines: Line[]): void {
    const text = this.#isSkipping ? "" : Buffer.concat(this.#pieces).toString("utf8").trim();
    if (text !== "") lines.push({ kind: "line", text });
    this.#pieces = [];
    this.#size = 0;
    this.#isSkipping = false;
  }
}
