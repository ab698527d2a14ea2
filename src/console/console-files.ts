import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";

/** One file of the page, as it is sent. */
export interface ConsoleAsset {
  readonly name: string;
  /** Media type. */
  readonly type: string;
  readonly body: Buffer;
}

export interface ConsoleFiles {
  readonly assets: readonly ConsoleAsset[];
  /** The page itself. It holds no data of any user. */
  page(options: { readonly demo: boolean }): string;
}

/** The folder beside this file, in src/ as in dist/. */
const folder = new URL("./page/", import.meta.url);
const shell = "index.html";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Reads the page and its files, once. Throws when the folder is not there: the installation is broken then. */
export function loadConsole(): ConsoleFiles {
  const names = readdirSync(folder).filter((name) => extname(name) in types);
  const html = readFileSync(new URL(shell, folder), "utf8");
  return {
    assets: names.map((name) => ({ name, type: types[extname(name)] ?? "", body: readFileSync(new URL(name, folder)) })),
    page: ({ demo }) => html.replace("<body>", demo ? '<body data-demo="true">' : "<body>"),
  };
}
