/** One directive of nginx, with its block if it has one. */
export interface Directive {
  readonly name: string;
  readonly words: readonly string[];
  readonly block: readonly Directive[];
}

/** What the other files rely on. */
export interface NginxFacts {
  readonly ports: readonly number[];
  readonly tlsPorts: readonly number[];
  readonly certificate: string;
  /** Names of the replicas that requests can be routed to. */
  readonly replicas: readonly string[];
}

const where = "deploy/nginx.conf";

/** What is wrong in the configuration of nginx, whose replicas listen on `port`. */
export function readNginx(text: string, port: number): { readonly facts: NginxFacts; readonly problems: readonly string[] } {
  const http = find(parse(text), "http")?.block ?? [];
  const server = find(http, "server")?.block ?? [];
  const routes = http.find(({ name, words }) => name === "map" && words[1] === "$latchkey_upstream")?.block ?? [];
  const ids = http.find(({ name, words }) => name === "map" && words[1] === "$latchkey_connection")?.block ?? [];
  const named = routes.flatMap(({ name, words }) => {
    const replica = /^~\\\.([a-z0-9-]{1,32})\$$/.exec(name)?.[1];
    return replica === undefined ? [] : [{ replica, upstream: words[0] ?? "" }];
  });
  const replicas = named.map(({ replica }) => replica);
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(`${where}: ${problem}`));
  const set = (name: string, ...words: readonly string[]): void =>
    must(
      server.some((each) => each.name === name && words.every((word, at) => each.words[at] === word)),
      `"${name} ${words.join(" ")}" is missing`,
    );

  must(find(ids, "/mcp")?.words[0] === "$http_mcp_session_id", "a connection on /mcp is named by the header Mcp-Session-Id");
  must(find(ids, "/messages")?.words[0] === "$arg_sessionId", "a connection on /messages is named by the query's sessionId");
  must(find(routes, "default")?.words[0] === "latchkey_any", "what names no replica goes to latchkey_any");
  must(named.length === routes.length - 1, "each line of the map must be ~\\.NAME$");
  const any = servers(http, "latchkey_any");
  must(
    sameNames(
      any.map(([address]) => address),
      replicas,
      port,
    ),
    "latchkey_any must have each replica of the map",
  );
  for (const { replica, upstream } of named) {
    const own = servers(http, upstream);
    must(
      own[0]?.[0] === `${replica}:${port}` && own[0][1].includes("max_fails=0"),
      `${upstream} must begin with ${replica}:${port} max_fails=0`,
    );
    must(
      own.slice(1).every(([, options]) => options.includes("backup")),
      `${upstream}: all but ${replica} must be backup`,
    );
    must(
      sameNames(
        own.map(([address]) => address),
        replicas,
        port,
      ),
      `${upstream} must have each replica`,
    );
  }
  set("proxy_http_version", "1.1");
  set("proxy_buffering", "off");
  set("proxy_set_header", "Host", "$http_host");
  set("proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for");
  must(/^\d+h$/.test(find(server, "proxy_read_timeout")?.words[0] ?? ""), "streams last for hours: proxy_read_timeout");
  for (const { name, words, block } of [...http, ...server].flatMap((each) => [each, ...each.block])) {
    if (name === "proxy_next_upstream") must(!words.includes("non_idempotent"), "a POST that was sent must not be sent again");
    if (name === "location")
      must(find(block, "proxy_pass")?.words[0] === "http://$latchkey_upstream", "each location passes to $latchkey_upstream");
    if (name === "log_format")
      must(
        !/\$(request\b|request_uri|args|arg_|query_string|http_(referer|authorization|cookie))/.test(words.join(" ")),
        "the access log must not have queries, credentials and cookies",
      );
  }
  must(
    find(find(server, "location", "=", "/login/callback")?.block ?? [], "error_log")?.words[1] === "crit",
    "the error log must not have authorization codes",
  );
  const listens = server.filter(({ name }) => name === "listen");
  const portsOf = (isTls: boolean): readonly number[] =>
    listens.filter(({ words }) => words.includes("ssl") === isTls).map(({ words }) => Number(words[0]));
  return {
    facts: { ports: portsOf(false), tlsPorts: portsOf(true), certificate: find(server, "ssl_certificate")?.words[0] ?? "", replicas },
    problems,
  };
}

function servers(http: readonly Directive[], upstream: string): readonly (readonly [string, readonly string[]])[] {
  const block = find(http, "upstream", upstream)?.block ?? [];
  return block.flatMap(({ name, words: [address = "", ...options] }) => (name === "server" ? [[address, options] as const] : []));
}

function sameNames(addresses: readonly string[], replicas: readonly string[], port: number): boolean {
  return (
    [...addresses].sort().join() ===
    replicas
      .map((replica) => `${replica}:${port}`)
      .sort()
      .join()
  );
}

function find(block: readonly Directive[], name: string, ...words: readonly string[]): Directive | undefined {
  return block.find((each) => each.name === name && words.every((word, at) => each.words[at] === word));
}

/** Throws an Error when braces or semicolons are missing. */
function parse(text: string): readonly Directive[] {
  const tokens = [...text.matchAll(/#[^\n]*|"((?:[^"\\]|\\.)*)"|'([^']*)'|([{};])|([^\s{};]+)/g)].filter(
    ([whole]) => !whole.startsWith("#"),
  );
  let next = 0;
  const block = (isTop: boolean): readonly Directive[] => {
    const directives: Directive[] = [];
    let words: string[] = [];
    for (;;) {
      const token = tokens[next];
      next += 1;
      if (token === undefined || token[3] === "}") {
        if ((token === undefined) !== isTop || words.length > 0)
          throw new Error(`${where}: a brace or a semicolon is missing before its end or after ${words.join(" ")}`);
        return directives;
      }
      if (token[3] === undefined) {
        words.push(token[1] ?? token[2] ?? token[0]);
        continue;
      }
      const [name = "", ...rest] = words;
      directives.push({ name, words: rest, block: token[3] === "{" ? block(false) : [] });
      words = [];
    }
  };
  return block(true);
}
