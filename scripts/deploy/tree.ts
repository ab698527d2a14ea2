/** A value out of YAML, looked into without casts. What is not there is an empty tree. */
export class Tree {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  at(...path: readonly (string | number)[]): Tree {
    let value = this.value;
    for (const key of path)
      value = typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
    return new Tree(value);
  }

  get text(): string {
    return typeof this.value === "string" || typeof this.value === "number" ? String(this.value) : "";
  }

  get number(): number {
    return typeof this.value === "number" ? this.value : Number.NaN;
  }

  get isThere(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  list(): readonly Tree[] {
    return Array.isArray(this.value) ? this.value.map((item: unknown) => new Tree(item)) : [];
  }

  entries(): readonly (readonly [string, Tree])[] {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) return [];
    return Object.entries(this.value).map(([key, value]) => [key, new Tree(value)]);
  }

  keys(): readonly string[] {
    return this.entries().map(([key]) => key);
  }

  /** Its entries as texts: labels, selectors, variables. */
  texts(): ReadonlyMap<string, string> {
    return new Map(this.entries().map(([key, { text }]) => [key, text]));
  }
}

/** Whether labels have everything that a selector asks for; an empty selector selects nothing here. */
export function selects(selector: Tree, labels: ReadonlyMap<string, string>): boolean {
  const wanted = [...selector.texts()];
  return wanted.length > 0 && wanted.every(([key, value]) => labels.get(key) === value);
}

/** An image by a tag that says what it is. */
export function imageProblems(where: string, image: string): readonly string[] {
  const tag = /:([\w.-]+)$/.exec(image)?.[1];
  return tag === undefined || tag === "latest"
    ? [`${where}: the image ${JSON.stringify(image)} must be named with a tag, not "latest"`]
    : [];
}
