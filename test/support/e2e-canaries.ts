/** What must stay where it belongs (B10). `presented`: something false that a client sent, and that must not be repeated either. */
export type SecretKind =
  | "access_token"
  | "refresh_token"
  | "id_token"
  | "authorization_code"
  | "code_verifier"
  | "cookie"
  | "connection_key"
  | "client_secret"
  | "import_secret"
  | "csrf_token"
  | "presented";

/** A place where something is written down or sent to. */
export interface Sink {
  readonly name: string;
  readonly text: string;
  /** Kinds that belong there. */
  readonly allowed?: readonly SecretKind[];
}

export interface Leak {
  readonly kind: SecretKind;
  readonly sink: string;
  /** What stands around it, without it. */
  readonly around: string;
}

const shortest = 12;
const partLength = 20;

/** The secrets of a run, collected where they are seen first. */
export class Canaries {
  readonly #values = new Map<string, SecretKind>();

  add(kind: SecretKind, value: string): void {
    if (value.length < shortest) throw new Error(`A ${kind} of ${value.length} characters cannot be looked for.`);
    if (!this.#values.has(value)) this.#values.set(value, kind);
  }

  /** Adds the first group of each match. */
  addMatches(kind: SecretKind, texts: readonly string[], pattern: RegExp): void {
    for (const text of texts) for (const [, value = ""] of text.matchAll(pattern)) this.add(kind, decodeURIComponent(value));
  }

  of(kind: SecretKind): readonly string[] {
    return [...this.#values].flatMap(([value, each]) => (each === kind ? [value] : []));
  }

  /** Every place in a sink that holds a secret, or a good part of one, or one encoded, that does not belong there. */
  findLeaks(sinks: readonly Sink[]): readonly Leak[] {
    return [...this.#values].flatMap(([value, kind]) =>
      sinks
        .filter(({ allowed = [] }) => !allowed.includes(kind))
        .flatMap(({ name, text }) => {
          const found = needles(value)
            .map((needle) => ({ needle, at: text.indexOf(needle) }))
            .find(({ at }) => at >= 0);
          if (found === undefined) return [];
          const { at, needle } = found;
          return [
            {
              kind,
              sink: name,
              around: `${text.slice(Math.max(0, at - 60), at)}<${kind}>${text.slice(at + needle.length, at + needle.length + 40)}`,
            },
          ];
        }),
    );
  }
}

/** What is looked for: whole and in part, as it is and encoded. Of a JWT the parts that are its own: all have the same header. */
function needles(value: string): readonly string[] {
  const [, payload = "", signature = ""] = /^eyJ[\w-]*\.([\w-]+)\.([\w-]+)$/.exec(value) ?? [];
  const parts =
    signature !== ""
      ? [payload, signature.slice(0, partLength)]
      : value.length > partLength + 4
        ? [value.slice(0, partLength), value.slice(-partLength)]
        : [value];
  const bytes = Buffer.from(value);
  return [...new Set([...parts, encodeURIComponent(value), bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")])];
}
