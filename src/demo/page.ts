import { createHash } from "node:crypto";

/** HTML that is safe to put into a page as it is. Made by `html` alone. */
export class SafeHtml {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A template whose values are escaped, unless they are SafeHtml or lists of it. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | SafeHtml | readonly SafeHtml[])[]): SafeHtml {
  return new SafeHtml(parts.map((part, index) => part + (index < values.length ? render(values[index] ?? "") : "")).join(""));
}

/** A page of the demo's authorization server with its headers: no script, nothing from elsewhere, not to be framed or cached. */
export function page(title: string, body: SafeHtml): { readonly text: string; readonly headers: Readonly<Record<string, string>> } {
  const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${new SafeHtml(`<style>${style}</style>`)}
</head>
<body>
<main>
<p class="where">Demo authorization server</p>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`;
  return { text, headers };
}

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --edge: #8a94a3; --tint: #1f5fbf; --on-tint: #fff; --bad: #b3261e; --back: #eef1f5; --soft: #4d5866; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2; --paper: #1b212a; --edge: #7c8796; --tint: #8ab4f8; --on-tint: #10151c; --bad: #ff9d94; --back: #10151c; --soft: #b3bdca; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 1.75rem; background: var(--paper); border-radius: .75rem; box-shadow: 0 1px 8px rgb(0 0 0 / .18); }
h1 { margin: 0 0 .75rem; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; }
.where { margin: 0 0 .25rem; color: var(--soft); font-size: .85rem; }
label { display: block; margin: 0 0 .25rem; font-weight: 600; }
input { display: block; width: 100%; margin: 0 0 1rem; padding: .6rem .7rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--edge); border-radius: .4rem; }
input[aria-invalid=true] { border-color: var(--bad); border-width: 2px; }
button { display: block; width: 100%; padding: .65rem; margin: 0 0 .5rem; font: inherit; font-weight: 600; color: var(--on-tint); background: var(--tint); border: 1px solid var(--tint); border-radius: .4rem; cursor: pointer; }
button.second { color: var(--tint); background: transparent; }
:focus-visible { outline: 3px solid var(--tint); outline-offset: 2px; }
.problem { color: var(--bad); font-weight: 600; }
.hint { color: var(--soft); font-size: .9rem; margin-bottom: 1rem; }
code { font-size: 1.3rem; letter-spacing: .08em; }
`;

const styleHash = createHash("sha256").update(style).digest("base64");

const headers = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  // The form's answer redirects to the application, and browsers hold form-action against redirects too.
  "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' http://127.0.0.1:* http://localhost:*`,
  // Not no-referrer: with it browsers send "Origin: null" along with the form.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
} as const;

function render(value: string | SafeHtml | readonly SafeHtml[]): string {
  if (value instanceof SafeHtml) return value.text;
  if (typeof value === "string") return value.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
  return value.map(({ text }) => text).join("");
}
