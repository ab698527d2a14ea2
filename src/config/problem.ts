/** Where a value stands in the configuration. */
export type ConfigPath = readonly PropertyKey[];

/** What is wrong with a configuration. */
export interface Problem {
  /** The values that it is about. */
  readonly paths: readonly ConfigPath[];
  /** One line: the path, the value unless it is a secret, and what to do. */
  readonly text: string;
}

/** A path as people write it: `authorizationServers.main.issuer`, `tools[0].name`. */
export function pathText(path: ConfigPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const name = /^[\w$-]+$/.test(String(key)) ? String(key) : JSON.stringify(String(key));
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

/** Whether `path` is `base` or below it. */
export function isWithin(path: ConfigPath, base: ConfigPath): boolean {
  return base.every((key, index) => path[index] === key);
}

/** The value at `path`; undefined where there is none. */
export function valueAt(root: unknown, path: ConfigPath): unknown {
  let at: unknown = root;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = Reflect.get(at, key);
  }
  return at;
}
