/** What happened in a run, in one number: two runs of one seed went the same way if and only if it is the same. */
export class Trace {
  #high = 0x811c9dc5;
  #low = 0x01234567;
  #length = 0;
  readonly #keep: boolean;
  readonly lines: string[] = [];

  /** `keep`: the lines are kept as well, for somebody who looks for the cause of a violation. */
  constructor(keep = false) {
    this.#keep = keep;
  }

  add(now: number, line: string): void {
    this.#length += 1;
    this.#mix(Math.round(now * 1000));
    for (let index = 0; index < line.length; index += 1) this.#mix(line.charCodeAt(index));
    if (this.#keep) this.lines.push(`${(now / 1000).toFixed(3).padStart(11)} ${line}`);
  }

  get length(): number {
    return this.#length;
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #mix(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x01000193);
    this.#low = Math.imul((this.#low ^ value) + (this.#high >>> 7), 0x85ebca6b);
  }
}
