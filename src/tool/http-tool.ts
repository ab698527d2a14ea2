import { LatchkeyError } from "../errors.ts";
import type { ApiSettings } from "./api.ts";
import { apiFailure } from "./api-failure.ts";
import { type HttpToolPlan, planHttpTool } from "./http-tool-plan.ts";
import type { HttpToolSettings } from "./http-tool-settings.ts";
import { isProgressStream, readProgressStream } from "./progress-stream.ts";
import { readResponse } from "./response-reading.ts";
import type { Tool } from "./tool.ts";
import { scalarText } from "./url-template.ts";

export type { ApiSettings } from "./api.ts";
export type { HttpToolSettings } from "./http-tool-settings.ts";

const defaultMaxResponseBytes = 1024 * 1024;

/**
 * A tool that sends one request to a configured API as the signed-in user. Throws LatchkeyError
 * `configuration_invalid` with all problems of the settings at once.
 *
 * The tool's `run` throws LatchkeyError: `invalid_request` for arguments that no request can carry, what
 * `ToolContext.fetch` throws, `payload_too_large` for an answer over the limit, and for an answer of 400 and more, or
 * one that cannot be read, `insufficient_scope` or `upstream_failed` with the status.
 */
export function createHttpTool(settings: HttpToolSettings, apis: ReadonlyMap<string, ApiSettings>): Tool {
  const check = planHttpTool(settings, apis);
  if (check.kind === "problems")
    throw new LatchkeyError("configuration_invalid", check.problems.join("\n"), { details: { problems: check.problems } });
  const { plan } = check;
  const reading = {
    api: plan.api.name,
    maxBytes: settings.maxResponseBytes ?? defaultMaxResponseBytes,
    hasOutputSchema: settings.outputSchema !== undefined,
  };
  return {
    name: settings.name,
    title: settings.title,
    description: settings.description,
    inputSchema: settings.inputSchema,
    outputSchema: settings.outputSchema,
    annotations: settings.annotations ?? (settings.method === "GET" ? { readOnlyHint: true } : undefined),
    async run(args, context) {
      const response = await context.fetch(addressOf(plan, args), requestOf(plan, settings, args));
      if (!response.ok) throw await apiFailure(plan.api.name, response);
      return settings.progress === true && isProgressStream(response)
        ? readProgressStream(response, reading, context.progress)
        : readResponse(response, reading);
    },
  };
}

function addressOf(plan: HttpToolPlan, args: Readonly<Record<string, unknown>>): URL {
  const base = new URL(plan.api.baseUrl);
  const path = base.pathname.replace(/\/+$/, "") + plan.template.expand(args);
  const url = new URL(path, base.origin);
  // The template promises it; should it ever break its promise, no request goes out.
  if (url.origin !== base.origin || url.pathname !== path)
    throw new LatchkeyError("invalid_request", "These arguments do not make a proper address.");
  for (const name of plan.query) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined;
    if (value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) url.searchParams.append(name, queryText(name, item));
  }
  return url;
}

function queryText(name: string, value: unknown): string {
  const text = scalarText(value);
  if (text === undefined)
    throw new LatchkeyError(
      "invalid_request",
      `"${name}" must be a text, a number, a boolean, or a list of these: it goes into the query.`,
    );
  return text;
}

function requestOf(plan: HttpToolPlan, settings: HttpToolSettings, args: Readonly<Record<string, unknown>>): RequestInit {
  const headers = new Headers(settings.headers);
  if (!headers.has("accept"))
    headers.set(
      "accept",
      settings.progress === true ? "application/x-ndjson, application/json;q=0.9, */*;q=0.1" : "application/json, */*;q=0.5",
    );
  const body = bodyOf(plan, args);
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  return { method: settings.method, headers, ...(body === undefined ? {} : { body }) };
}

function bodyOf({ body, template, query }: HttpToolPlan, args: Readonly<Record<string, unknown>>): string | undefined {
  if (body === "none") return undefined;
  const fields = Object.entries(args).filter(([name]) =>
    body === "rest" ? !template.names.includes(name) && !query.includes(name) : body.includes(name),
  );
  return JSON.stringify(Object.fromEntries(fields));
}
