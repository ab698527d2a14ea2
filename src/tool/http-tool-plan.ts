import { type ApiSettings, findApiProblems } from "./api.ts";
import type { HttpToolSettings } from "./http-tool-settings.ts";
import { toolNamePattern } from "./tool-table.ts";
import { parseUrlTemplate, type UrlTemplate } from "./url-template.ts";

/** Where each argument of an HTTP tool goes. */
export interface HttpToolPlan {
  readonly api: ApiSettings;
  readonly template: UrlTemplate;
  readonly query: readonly string[];
  /** `rest`: every argument that goes nowhere else, those that the schema does not name included. */
  readonly body: readonly string[] | "rest" | "none";
}

export type HttpToolCheck =
  | { readonly kind: "plan"; readonly plan: HttpToolPlan }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

const reservedHeaders = ["authorization", "proxy-authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"];

/** Checks the settings of an HTTP tool and works out where its arguments go. All problems come at once, as sentences. */
export function planHttpTool(settings: HttpToolSettings, apis: ReadonlyMap<string, ApiSettings>): HttpToolCheck {
  const where = `tools.${settings.name}`;
  const properties = Object.keys(settings.inputSchema.properties ?? {});
  const parsed = parseUrlTemplate(settings.path);
  const template = parsed.kind === "template" ? parsed.template : undefined;
  const inPath = template?.names ?? [];
  const body = settings.body ?? (settings.method === "GET" || settings.method === "DELETE" ? "none" : "rest");
  const query = settings.query ?? (body === "none" ? properties.filter((name) => !inPath.includes(name)) : []);
  const api = apis.get(settings.api);
  const listed = Array.isArray(body) ? body : [];
  const problems = [
    ...(api === undefined
      ? [`${where}.api: there is no API named "${settings.api}" (${[...apis.keys()].join(", ") || "none"})`]
      : findApiProblems(api)),
    ...(parsed.kind === "problems" ? parsed.problems.map((problem) => `${where}.path ${problem}`) : []),
    ...generalProblems(settings, where),
    ...(settings.method === "GET" && body !== "none" ? [`${where}.body: GET cannot have a body`] : []),
    ...headerProblems(settings.headers ?? {}, where),
    ...schemaProblems(settings, { path: inPath, query, body: listed }, where),
    ...duplicateProblems({ path: inPath, query, body: listed }, where),
    // Without a template nobody knows what it uses.
    ...(template === undefined || body === "rest"
      ? []
      : properties
          .filter((name) => ![...inPath, ...query, ...listed].includes(name))
          .map((name) => `${where}: the argument "${name}" is used neither in path, nor in query, nor in body`)),
  ];
  if (problems.length > 0 || api === undefined || template === undefined) return { kind: "problems", problems };
  return { kind: "plan", plan: { api, template, query, body } };
}

interface Places {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly body: readonly string[];
}

function generalProblems(settings: HttpToolSettings, where: string): readonly string[] {
  const problems: string[] = [];
  if (!toolNamePattern.test(settings.name)) problems.push(`${where}.name must be 1 to 128 letters, digits, "_", "-" and "."`);
  if (settings.description.trim() === "") problems.push(`${where}.description must not be empty: the model chooses tools by it`);
  if (settings.inputSchema.type !== "object") problems.push(`${where}.inputSchema.type must be "object"`);
  if (settings.outputSchema !== undefined && settings.outputSchema.type !== "object")
    problems.push(`${where}.outputSchema.type must be "object"; a list comes as { "result": [...] }`);
  const { maxResponseBytes } = settings;
  if (maxResponseBytes !== undefined && !(Number.isInteger(maxResponseBytes) && maxResponseBytes > 0))
    problems.push(`${where}.maxResponseBytes must be a whole number of bytes, more than 0`);
  return problems;
}

function schemaProblems({ inputSchema }: HttpToolSettings, places: Places, where: string): readonly string[] {
  const properties = inputSchema.properties ?? {};
  const required = inputSchema.required ?? [];
  const known = (name: string): boolean => Object.hasOwn(properties, name);
  return [
    ...places.path
      .filter((name) => !known(name))
      .map((name) => `${where}.path: the placeholder {${name}} has no property of that name in inputSchema`),
    ...places.path
      .filter((name) => known(name) && !required.includes(name))
      .map((name) => `${where}.path: the placeholder {${name}} must be in inputSchema.required`),
    ...places.query.filter((name) => !known(name)).map((name) => `${where}.query: "${name}" is no property of inputSchema`),
    ...places.body.filter((name) => !known(name)).map((name) => `${where}.body: "${name}" is no property of inputSchema`),
  ];
}

function duplicateProblems(places: Places, where: string): readonly string[] {
  const uses = new Map<string, string[]>();
  for (const place of ["path", "query", "body"] as const)
    for (const name of places[place]) uses.set(name, [...(uses.get(name) ?? []), place]);
  return [...uses]
    .filter(([, at]) => at.length > 1)
    .map(([name, at]) => `${where}: the argument "${name}" is used twice (${at.join(", ")})`);
}

function headerProblems(headers: Readonly<Record<string, string>>, where: string): readonly string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (reservedHeaders.includes(name.toLowerCase())) return [`${where}.headers: "${name}" is set by Latchkey alone`];
    try {
      new Headers([[name, value]]);
      return [];
    } catch {
      return [`${where}.headers: "${name}" is no valid header, or its value is none`];
    }
  });
}
