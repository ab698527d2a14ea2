/** A link or button of a page. */
export interface PageLink {
  readonly href: string;
  readonly text: string;
}

export interface PageContent {
  readonly status: number;
  readonly title: string;
  /** Paragraphs of plain text. */
  readonly text: readonly string[];
  /** What stands below the text, in HTML. */
  readonly body?: Html | undefined;
  readonly links: readonly PageLink[];
  /** Where the browser goes by itself. */
  readonly refreshTo?: string | undefined;
}

/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** HTML out of a template: what is filled in is escaped, unless it is HTML itself. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Html | readonly Html[])[]): Html {
  const filled = values.map((value) => {
    if (typeof value === "string") return escapeHtml(value);
    return value instanceof Html ? value.text : value.map(({ text }) => text).join("\n");
  });
  return new Html(parts.map((part, index) => part + (filled[index] ?? "")).join(""));
}

/** A small page that works without script: a failed sign-in, a choice. Everything in it is escaped here. */
export function htmlPage(content: PageContent): Response {
  return new Response(htmlDocument(content), {
    status: content.status,
    headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
  });
}

/** The same as text. */
export function htmlDocument(content: Omit<PageContent, "status">): string {
  const links = content.links.map(
    ({ href, text }, index) => html`<a class="button${index === 0 ? " primary" : ""}" href="${href}">${text}</a>`,
  );
  const paragraphs = content.text.map((paragraph) => html`<p>${paragraph}</p>`);
  const refresh = content.refreshTo === undefined ? html`` : html`<meta http-equiv="refresh" content="0; url=${content.refreshTo}">`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh}
<title>${content.title} · Latchkey</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/console.css">
</head>
<body>
<header class="top"><div class="bar"><a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Latchkey</a></div></header>
<main class="narrow"><section class="card">
<h1>${content.title}</h1>
${paragraphs}
${content.body ?? html``}
${links.length === 0 ? html`` : html`<p class="actions">${links}</p>`}
</section></main>
</body>
</html>
`.text;
}

/** Makes text safe between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
