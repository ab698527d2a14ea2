import { LatchkeyError } from "../errors.ts";

/** A path with placeholders, such as `/notes/{id}`. A value fills its placeholder and nothing else. */
export interface UrlTemplate {
  /** The names of the placeholders, in order, each once. */
  readonly names: readonly string[];
  /**
   * The path with each placeholder replaced by its percent-encoded value. It has as many segments as the template,
   * whatever the values. Throws LatchkeyError `invalid_request` for a value that is missing, empty, not a string, a
   * finite number or a boolean, or that could mean another segment to whoever decodes it: a slash, a backslash, a
   * control character, or a dot segment, also percent-encoded.
   */
  expand(values: Readonly<Record<string, unknown>>): string;
}

export type ParsedUrlTemplate =
  | { readonly kind: "template"; readonly template: UrlTemplate }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

type Part = { readonly kind: "literal"; readonly text: string } | { readonly kind: "placeholder"; readonly name: string };

const literalPattern = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$/;
const namePattern = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/** Reads a template. All problems come at once, as sentences without a subject. */
export function parseUrlTemplate(text: string): ParsedUrlTemplate {
  const problems: string[] = [];
  if (!text.startsWith("/")) problems.push("must begin with a slash");
  if (/[?#]/.test(text)) problems.push("must have neither query nor fragment; list query parameters in query");
  const segments = text
    .split("/")
    .slice(1)
    .map((segment) => parseSegment(segment.replace(/[?#].*$/, ""), problems));
  segments.forEach((segment, index) => {
    if (segment.length === 0 && index < segments.length - 1) problems.push("must not have an empty segment");
  });
  if (problems.length > 0) return { kind: "problems", problems: [...new Set(problems)] };
  const names = segments.flat().flatMap((part) => (part.kind === "placeholder" ? [part.name] : []));
  const expand: UrlTemplate["expand"] = (values) => segments.map((segment) => `/${expandSegment(segment, values)}`).join("");
  return { kind: "template", template: { names: [...new Set(names)], expand } };
}

function parseSegment(segment: string, problems: string[]): readonly Part[] {
  const parts = segment.split(/(\{[^{}]*\})/).filter((piece) => piece !== "");
  const parsed = parts.map((piece): Part => {
    if (piece.startsWith("{") && piece.endsWith("}")) return { kind: "placeholder", name: piece.slice(1, -1) };
    return { kind: "literal", text: piece };
  });
  for (const part of parsed) {
    if (part.kind === "placeholder" && !namePattern.test(part.name))
      problems.push(`has a placeholder without a proper name: {${part.name}}`);
    if (part.kind === "literal" && !literalPattern.test(part.text))
      problems.push(`has characters that a path cannot have: ${JSON.stringify(part.text)}`);
  }
  if (parsed.every((part) => part.kind === "literal") && isDotSegment(fullyDecoded(segment)))
    problems.push(`must not contain the segment ${JSON.stringify(segment)}`);
  return parsed;
}

function expandSegment(segment: readonly Part[], values: Readonly<Record<string, unknown>>): string {
  const pieces = segment.map((part) => (part.kind === "literal" ? part.text : encode(part.name, values)));
  const text = pieces.join("");
  // Of the whole segment, since values that are harmless apart may be a step upwards or a slash together: "%2" and "f".
  const own = segment.reduce((sum, part) => sum + (part.kind === "literal" ? separators(part.text) : 0), 0);
  if (isDotSegment(fullyDecoded(text)) || separators(text) !== own)
    throw unusable(segment.flatMap((part) => (part.kind === "literal" ? [] : [part.name])).join(", "));
  return text;
}

function encode(name: string, values: Readonly<Record<string, unknown>>): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined || value === null || value === "") throw new LatchkeyError("invalid_request", `"${name}" must have a value.`);
  const text = scalarText(value);
  if (text === undefined) throw new LatchkeyError("invalid_request", `"${name}" must be a text, a number or a boolean.`);
  if (!text.isWellFormed()) throw unusable(name);
  return encodeURIComponent(text);
}

/** A string, finite number or boolean as text; undefined for anything else. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  return typeof value === "boolean" ? String(value) : undefined;
}

/** Decoded until nothing is left to decode: servers and proxies behind one another do the same, one layer each. */
function fullyDecoded(text: string): string {
  for (let decoded = text; ; ) {
    const next = decoded.replace(/%[0-7][0-9A-Fa-f]/g, decodeByte);
    if (next === decoded) return decoded;
    decoded = next;
  }
}

function decodeByte(encoded: string): string {
  return String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
}

/** How many slashes, backslashes and control characters are in a text, however well they are hidden. */
function separators(text: string): number {
  return fullyDecoded(text).split(/[/\\\p{Cc}]/u).length - 1;
}

/** Some servers cut "..;x" down to "..": a parameter of the segment (RFC 3986, section 3.3). */
function isDotSegment(text: string): boolean {
  return /^\.\.?(;|$)/.test(text);
}

function unusable(name: string): LatchkeyError {
  return new LatchkeyError(
    "invalid_request",
    `"${name}" cannot be used here: it must not contain a slash, a backslash or a control character, nor be "." or "..".`,
  );
}
