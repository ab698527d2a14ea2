export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members of a JSON object; none for anything else. */
export function parseFields(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

/** Throws when there is no such string. */
export function mustString(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw new Error(`There is no ${name} in ${JSON.stringify(fields)}.`);
}

/** Throws when there is no such list of objects. */
export function mustList(fields: Fields, name: string): readonly Fields[] {
  const value = fields[name];
  if (Array.isArray(value) && value.every(isFields)) return value;
  throw new Error(`There is no list ${name} in ${JSON.stringify(fields)}.`);
}
