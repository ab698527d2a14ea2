import type { ObjectSchema, ToolAnnotations } from "./tool.ts";

/** A tool declared in the configuration: one request to a configured API. */
export interface HttpToolSettings {
  readonly name: string;
  readonly title?: string | undefined;
  readonly description: string;
  /** The name of the API. */
  readonly api: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** A path below the API's base address with placeholders: `/notes/{id}`. */
  readonly path: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema?: ObjectSchema | undefined;
  readonly annotations?: ToolAnnotations | undefined;
  /** The arguments that go into the query. Default: with a body none, without one all that are not in the path. */
  readonly query?: readonly string[] | undefined;
  /**
   * The arguments that go into a JSON object as the body; `rest`: all that are neither in the path nor in the query.
   * Default: `rest` for POST, PUT and PATCH, `none` for GET and DELETE.
   */
  readonly body?: readonly string[] | "rest" | "none" | undefined;
  /** Headers with fixed values. Not for credentials. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * The API answers `application/x-ndjson`: lines of `{"progress", "total"?, "message"?}` which are told to the client,
   * and a last one of `{"result": ...}`.
   */
  readonly progress?: boolean | undefined;
  /** Default: 1 MiB (1048576). */
  readonly maxResponseBytes?: number | undefined;
}
