/** What a user pastes into an MCP client, for one connection key. `origin` is this server's. */
export function clientEntries(origin, key) {
  const headers = { Authorization: `Bearer ${key}` };
  const entry = (type, path) => JSON.stringify({ mcpServers: { latchkey: { type, url: `${origin}${path}`, headers } } }, null, 2);
  return [
    { label: "Streamable HTTP (mcpServers)", text: entry("http", "/mcp") },
    { label: "HTTP+SSE, for older clients (mcpServers)", text: entry("sse", "/sse") },
    {
      label: "Claude Code, in a terminal",
      text: `claude mcp add --transport http latchkey ${origin}/mcp --header "Authorization: Bearer ${key}"`,
    },
  ];
}
