import type { ConfigPath, Problem } from "./problem.ts";
import type { Config } from "./schema.ts";

type StoreConfig = Config["store"];
type StoreType = StoreConfig["type"];

/** Which store types a setting is for. */
const settingTypes: Readonly<Record<Exclude<keyof StoreConfig, "type">, readonly StoreType[]>> = {
  file: ["sqlite"],
  url: ["postgres", "redis"],
  schema: ["postgres"],
  maxConnections: ["postgres"],
  keyPrefix: ["redis"],
  cluster: ["redis"],
  journalDirectory: ["postgres", "redis"],
};

const schemes: Readonly<Partial<Record<StoreType, readonly string[]>>> = {
  postgres: ["postgres:", "postgresql:"],
  redis: ["redis:", "rediss:"],
};

/** What is wrong with the store's settings that one field alone cannot show. */
export function storeProblems({ store, sealing }: Config, dataDirectory: string | undefined): readonly Problem[] {
  return [
    ...foreignSettings(store),
    ...missingSettings(store, dataDirectory),
    ...urlProblems(store),
    ...sealingProblems(store, sealing.keys.length),
    ...keyNameProblems(sealing.keys),
  ];
}

function foreignSettings(store: StoreConfig): readonly Problem[] {
  return Object.entries(settingTypes).flatMap(([name, types]): readonly Problem[] => {
    const key = name as keyof typeof settingTypes;
    const value = store[key];
    if (value === undefined || types.includes(store.type)) return [];
    const shown = key === "url" ? "" : ` (${JSON.stringify(value)})`;
    const meant = types.map((type) => `"${type}"`).join(" and ");
    return [
      {
        paths: [
          ["store", "type"],
          ["store", name],
        ],
        text: `store.${name}${shown} is for store.type ${meant}, but store.type is "${store.type}": remove one`,
      },
    ];
  });
}

function missingSettings(store: StoreConfig, dataDirectory: string | undefined): readonly Problem[] {
  if (store.type === "sqlite" && store.file === undefined && dataDirectory === undefined)
    return [
      {
        paths: pathsOf("file"),
        text: 'store.file is missing: name the file that login sessions are kept in, or set store.type to "memory"',
      },
    ];
  if (!isShared(store.type)) return [];
  const problems: Problem[] = [];
  if (store.url === undefined)
    problems.push({ paths: pathsOf("url"), text: `store.url is missing: store.type "${store.type}" needs the address of the server` });
  if (store.journalDirectory === undefined && dataDirectory === undefined)
    problems.push({
      paths: pathsOf("journalDirectory"),
      text: "store.journalDirectory is missing: name a folder on a disk that outlives the process, for replies that the store has not taken yet",
    });
  return problems;
}

function urlProblems({ type, url }: StoreConfig): readonly Problem[] {
  const allowed = schemes[type];
  if (url === undefined || allowed === undefined) return [];
  const parsed = URL.parse(url);
  // The value is a secret: it is not shown.
  if (parsed === null) return [{ paths: pathsOf("url"), text: `store.url is no address: write "${allowed[0]}//user:password@host/…"` }];
  if (allowed.includes(parsed.protocol)) return [];
  return [
    {
      paths: pathsOf("url"),
      text: `store.url begins with "${parsed.protocol}//", but store.type "${type}" needs ${allowed.map((scheme) => `"${scheme}//"`).join(" or ")}`,
    },
  ];
}

/** A store that others can reach over the network must hold nothing in the clear, and a key file is on one machine only. */
function sealingProblems({ type }: StoreConfig, keys: number): readonly Problem[] {
  if (!isShared(type) || keys > 0) return [];
  return [
    {
      paths: [
        ["store", "type"],
        ["sealing", "keys"],
      ],
      text: `sealing.keys is missing: store.type "${type}" needs a key that all replicas share, such as [{"id": "2026-11", "key": "\${LATCHKEY_SEALING_KEY}"}]; make one with "openssl rand -base64 32"`,
    },
  ];
}

function keyNameProblems(keys: Config["sealing"]["keys"]): readonly Problem[] {
  const seen = new Set<string>();
  return keys.flatMap(({ id }, index): readonly Problem[] => {
    const isKnown = seen.has(id);
    seen.add(id);
    if (!isKnown) return [];
    return [
      {
        paths: [["sealing", "keys", index, "id"]],
        text: `sealing.keys[${index}].id (${JSON.stringify(id)}): two keys have this name: rename the newer one`,
      },
    ];
  });
}

function isShared(type: StoreType): boolean {
  return type === "postgres" || type === "redis";
}

function pathsOf(name: string): readonly ConfigPath[] {
  return [
    ["store", "type"],
    ["store", name],
  ];
}
