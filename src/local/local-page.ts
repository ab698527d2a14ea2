import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";

/** A page of the loopback listener. Everything in it is escaped here. */
export interface LocalPage {
  readonly status: number;
  readonly title: string;
  /** Paragraphs of plain text. */
  readonly text: readonly string[];
  readonly links?: readonly { readonly href: string; readonly text: string }[] | undefined;
}

/** What the loopback listener answers with. */
export type LocalAnswer = LocalPage | { readonly redirectTo: string };

const style =
  "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}" +
  "h1{font-size:1.4rem}a{display:inline-block;margin-right:1rem}";
const styleHash = createHash("sha256").update(style).digest("base64");

const headers = {
  "cache-control": "no-store",
  // The address of the page may have the authorization code in it.
  "referrer-policy": "no-referrer",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  connection: "close",
} as const;

/** Writes the answer. Resolves when it has left, or cannot. */
export function writeLocalAnswer(response: ServerResponse, answer: LocalAnswer): Promise<void> {
  return new Promise((resolve) => {
    response.once("close", resolve);
    if ("redirectTo" in answer) response.writeHead(302, { ...headers, location: answer.redirectTo }).end();
    else response.writeHead(answer.status, { ...headers, "content-type": "text/html; charset=utf-8" }).end(htmlOf(answer));
  });
}

function htmlOf({ title, text, links = [] }: LocalPage): string {
  const anchors = links.map((link) => `<a href="${escapeHtml(link.href)}">${escapeHtml(link.text)}</a>`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Latchkey</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${text.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("\n")}
<p>${anchors}</p>
</body>
</html>
`;
}

/** Makes text safe between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
