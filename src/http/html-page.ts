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
  readonly links: readonly PageLink[];
}

/** A small page that works without script: a failed sign-in, a choice. Everything in it is escaped here. */
export function htmlPage(content: PageContent): Response {
  const [first, ...others] = content.links.map(({ href, text }) => ({ href: escapeHtml(href), text: escapeHtml(text) }));
  const links = [
    ...(first === undefined ? [] : [`<a class="button primary" href="${first.href}">${first.text}</a>`]),
    ...others.map(({ href, text }) => `<a class="button" href="${href}">${text}</a>`),
  ];
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(content.title)} · Latchkey</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/console.css">
</head>
<body>
<header class="top"><div class="bar"><a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Latchkey</a></div></header>
<main class="narrow"><section class="card">
<h1>${escapeHtml(content.title)}</h1>
${content.text.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("\n")}
<p class="actions">${links.join("\n")}</p>
</section></main>
</body>
</html>
`;
  return new Response(body, {
    status: content.status,
    headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
  });
}

/** Makes text safe between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
