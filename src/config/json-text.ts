/** A JSON text read strictly. A problem names line and column and never quotes the text: it may hold a secret. */
export type JsonText = { readonly kind: "value"; readonly value: unknown } | { readonly kind: "problem"; readonly problem: string };

/** Deeper nesting is a mistake, or an attack on the stack. */
const deepest = 100;

/**
 * Reads JSON (RFC 8259). Beyond `JSON.parse` it refuses a key that an object has twice, since the first value would be
 * lost in silence, and the key `__proto__`.
 */
export function readJsonText(text: string): JsonText {
  const source = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const scanner = new Scanner(source);
  const found = scanner.check();
  if (found !== undefined) return { kind: "problem", problem: `${positionOf(source, found.at)}: ${found.problem}` };
  const value: unknown = JSON.parse(source);
  return { kind: "value", value };
}

interface Found {
  readonly at: number;
  readonly problem: string;
}

/** Thrown inside the scanner only. */
class JsonProblem extends Error {
  readonly at: number;

  constructor(at: number, problem: string) {
    super(problem);
    this.at = at;
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  check(): Found | undefined {
    try {
      this.#value(0);
      this.#space();
      if (this.#at < this.#text.length) throw this.#expected("the end of the file");
      return undefined;
    } catch (error) {
      if (error instanceof JsonProblem) return { at: error.at, problem: error.message };
      throw error;
    }
  }

  #value(depth: number): void {
    this.#space();
    if (depth > deepest) throw new JsonProblem(this.#at, `nested deeper than ${deepest} levels`);
    if (this.#take("{")) this.#object(depth);
    else if (this.#take("[")) this.#list(depth);
    else if (this.#text[this.#at] === '"') this.#string();
    else if (this.#match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)/y) === undefined)
      throw this.#expected("a value");
  }

  #object(depth: number): void {
    const keys = new Set<string>();
    this.#space();
    if (this.#take("}")) return;
    for (;;) {
      this.#space();
      const at = this.#at;
      if (this.#text[at] !== '"') throw this.#expected('a key in double quotes ("…")');
      const key = this.#string();
      if (keys.has(key)) throw new JsonProblem(at, `the key ${JSON.stringify(key)} is there twice: remove one`);
      if (key === "__proto__") throw new JsonProblem(at, 'the key "__proto__" is not allowed');
      keys.add(key);
      this.#space();
      if (!this.#take(":")) throw this.#expected('":" after the key');
      this.#value(depth + 1);
      if (this.#more("}")) continue;
      return;
    }
  }

  #list(depth: number): void {
    this.#space();
    if (this.#take("]")) return;
    for (;;) {
      this.#value(depth + 1);
      if (this.#more("]")) continue;
      return;
    }
  }

  /** True after a comma, false after the end. */
  #more(end: "}" | "]"): boolean {
    this.#space();
    if (this.#take(end)) return false;
    const comma = this.#at;
    if (!this.#take(",")) throw this.#expected(`"," or "${end}"`);
    this.#space();
    if (this.#text[this.#at] === end) throw new JsonProblem(comma, `there must be no comma before "${end}": remove it`);
    return true;
  }

  #string(): string {
    const start = this.#at;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings (RFC 8259, section 7)
    const raw = this.#match(/"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (raw === undefined)
      throw new JsonProblem(start, 'this text does not end with a double quote on its line, or has a wrong "\\" in it');
    const value: unknown = JSON.parse(raw);
    return typeof value === "string" ? value : "";
  }

  #expected(what: string): JsonProblem {
    if (this.#at >= this.#text.length) return new JsonProblem(this.#at, `the file ends here, but ${what} must follow`);
    if (this.#text.startsWith("//", this.#at) || this.#text.startsWith("/*", this.#at))
      return new JsonProblem(this.#at, "JSON has no comments: remove it");
    if (this.#text[this.#at] === "'") return new JsonProblem(this.#at, "texts stand in double quotes in JSON, not in single ones");
    return new JsonProblem(this.#at, `${what} must stand here`);
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y);
  }
}

function positionOf(text: string, at: number): string {
  const before = text.slice(0, at).split("\n");
  return `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
}
