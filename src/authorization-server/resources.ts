/** The one scope that an MCP client needs: to use the tools as the user who consented. */
export const mcpScope = "mcp";

const wellKnown = "/.well-known/oauth-protected-resource";

/** Protected resource metadata (RFC 9728, section 2). */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported: readonly string[];
  readonly bearer_methods_supported: readonly string[];
  readonly resource_name: string;
}

/**
 * The names that this server has as a protected resource (RFC 8707): its origin, and the addresses that clients are
 * given. An access token for any of them is good for all: they are ways to the same tools.
 */
export class Resources {
  /** Where access tokens come from: the public origin, without a path. */
  readonly issuer: string;
  readonly #byPath: ReadonlyMap<string, string>;

  constructor(publicUrl: string) {
    const { origin } = new URL(publicUrl);
    this.issuer = origin;
    this.#byPath = new Map([
      ["", origin],
      ["/mcp", `${origin}/mcp`],
      ["/sse", `${origin}/sse`],
    ]);
  }

  /** All of them. */
  get all(): readonly string[] {
    return [...this.#byPath.values()];
  }

  /** For a client that names none. */
  get usual(): string {
    return `${this.issuer}/mcp`;
  }

  /** The identifier as it is written here, or undefined: it is none of ours. */
  find(identifier: string): string | undefined {
    const href = URL.parse(identifier)?.href;
    return this.all.find((each) => new URL(each).href === href);
  }

  /** The metadata at each of their well-known addresses (RFC 9728, section 3.1), by path. */
  documents(): ReadonlyMap<string, ResourceMetadata> {
    return new Map([...this.#byPath].map(([path, resource]) => [`${wellKnown}${path}`, this.#document(resource)]));
  }

  /** Where a client that was refused at this path finds the metadata. */
  metadataUrl(path: string): string {
    return `${this.issuer}${wellKnown}${path === "/mcp" ? "/mcp" : "/sse"}`;
  }

  #document(resource: string): ResourceMetadata {
    return {
      resource,
      authorization_servers: [this.issuer],
      scopes_supported: [mcpScope],
      bearer_methods_supported: ["header"],
      resource_name: "Latchkey",
    };
  }
}
