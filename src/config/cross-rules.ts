import { isLoopbackHost } from "./loopback.ts";
import { type ConfigPath, type Problem, pathText } from "./problem.ts";
import { findRefreshRoomProblem } from "./refresh-room.ts";
import type { Config } from "./schema.ts";
import { didYouMean } from "./spelling.ts";
import { storeProblems } from "./store-rules.ts";

/** Names as they were written, those of entries that are wrong in themselves included. */
export interface WrittenNames {
  readonly authorizationServers: readonly string[];
  readonly apis: readonly string[];
}

/** Names of the tools that every server has. */
const sessionToolNames: readonly string[] = ["whoami", "session_status", "sign_out"];

/** Checks what one field alone cannot show. */
export function crossProblems(
  config: Config,
  names: WrittenNames,
  surroundings: { readonly dataDirectory?: string | undefined } = {},
): readonly Problem[] {
  return [
    ...serverProblems(config),
    ...refreshRoomProblems(config),
    ...authenticationProblems(config),
    ...apiProblems(config, names),
    ...toolProblems(config, names),
    ...storeProblems(config, surroundings.dataDirectory),
  ];
}

function serverProblems({ server }: Config): readonly Problem[] {
  const problems: Problem[] = [];
  if (server.publicUrl === undefined && !isLoopbackHost(server.host))
    problems.push({
      paths: [
        ["server", "host"],
        ["server", "publicUrl"],
      ],
      text: `server.host (${JSON.stringify(server.host)}) is reachable from outside, so server.publicUrl must be set: the https origin that users and clients use`,
    });
  if (server.publicUrl?.startsWith("http:") && server.tls !== undefined)
    problems.push({
      paths: [
        ["server", "publicUrl"],
        ["server", "tls"],
      ],
      text: `server.publicUrl (${JSON.stringify(server.publicUrl)}) must begin with https: since server.tls is set`,
    });
  return problems;
}

function refreshRoomProblems({ authorizationServers, refresh, heartbeat }: Config): readonly Problem[] {
  return Object.entries(authorizationServers).flatMap(([name, settings]) => {
    const at: ConfigPath = ["authorizationServers", name];
    const text = findRefreshRoomProblem(
      {
        accessTokenLifetimeSeconds: settings.accessTokenLifetimeSeconds,
        refreshTokenLifetimeSeconds: settings.refreshTokenLifetimeSeconds,
        timeoutSeconds: refresh.timeoutSeconds,
        intervalSeconds: heartbeat.intervalSeconds,
      },
      {
        refreshTokenLifetime: `${pathText(at)}.refreshTokenLifetimeSeconds`,
        timeout: "refresh.timeoutSeconds",
        interval: "heartbeat.intervalSeconds",
      },
    );
    if (text === undefined) return [];
    const own = ["accessTokenLifetimeSeconds", "refreshTokenLifetimeSeconds"].map((field): ConfigPath => [...at, field]);
    return [{ paths: [...own, ["refresh", "timeoutSeconds"], ["heartbeat", "intervalSeconds"]], text }];
  });
}

function authenticationProblems({ authorizationServers }: Config): readonly Problem[] {
  return Object.entries(authorizationServers).flatMap(([name, server]) => {
    const { clientAuthentication: method, clientSecret, clientKey, scopes } = server;
    const at: ConfigPath = ["authorizationServers", name];
    const where = pathText(at);
    const problems: Problem[] = [];
    const needed = method === "private_key_jwt" ? "clientKey" : "clientSecret";
    const paths: readonly ConfigPath[] = [
      [...at, "clientAuthentication"],
      [...at, needed],
    ];
    const given = [clientSecret === undefined ? [] : ["clientSecret"], clientKey === undefined ? [] : ["clientKey"]].flat();
    if (method === "none" && given.length > 0)
      problems.push({
        paths,
        text: `${where}.clientAuthentication is "none", but ${given.map((each) => `${where}.${each}`).join(" and ")} is set: remove one of them`,
      });
    if (method !== undefined && method !== "none" && !given.includes(needed))
      problems.push({ paths, text: `${where}.clientAuthentication is "${method}", but ${where}.${needed} is missing: set it` });
    if (!scopes.includes("openid"))
      problems.push({
        paths: [[...at, "scopes"]],
        text: `${where}.scopes (${scopes.join(" ") || "none"}) must have "openid": without it there is no ID token, and nobody knows who signed in`,
      });
    return problems;
  });
}

function apiProblems({ apis }: Config, names: WrittenNames): readonly Problem[] {
  const known = names.authorizationServers;
  return Object.entries(apis).flatMap(([name, { authorizationServer }]): readonly Problem[] => {
    const path: ConfigPath = ["apis", name, "authorizationServer"];
    if (authorizationServer === undefined)
      return known.length < 2
        ? []
        : [
            {
              paths: [path],
              text: `${pathText(path)} is missing: with several authorization servers (${known.join(", ")}), say whose access tokens it takes`,
            },
          ];
    if (known.includes(authorizationServer)) return [];
    return [
      {
        paths: [path],
        text: `${pathText(path)} (${JSON.stringify(authorizationServer)}) is no authorization server.${oneOf(authorizationServer, known)}`,
      },
    ];
  });
}

function toolProblems({ tools }: Config, names: WrittenNames): readonly Problem[] {
  const seen = new Set<string>();
  return tools.flatMap((tool) => {
    const problems: Problem[] = [];
    const paths: readonly ConfigPath[] = [["tools", tool.name]];
    if (sessionToolNames.includes(tool.name))
      problems.push({ paths, text: `tools.${tool.name}: every server has a tool of this name already: choose another one` });
    if (seen.has(tool.name)) problems.push({ paths, text: `tools.${tool.name}: two tools have this name: rename one` });
    seen.add(tool.name);
    if (!names.apis.includes(tool.api))
      problems.push({ paths, text: `tools.${tool.name}.api (${JSON.stringify(tool.api)}) is no API.${oneOf(tool.api, names.apis)}` });
    return problems;
  });
}

function oneOf(word: string, known: readonly string[]): string {
  const guess = didYouMean(word, known);
  return guess === "" ? ` There are: ${known.join(", ") || "none"}.` : guess;
}
