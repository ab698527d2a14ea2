/**
 * Headers that every answer of the web framework carries. Nothing is loaded from elsewhere, nothing runs inline, nobody
 * may frame a page. `formTargets`: origins to which the answer of a form of ours may redirect (RP-initiated logout);
 * browsers apply `form-action` to that redirect too.
 */
export function securityHeaders(formTargets: readonly string[]): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    `form-action ${["'self'", ...new Set(formTargets)].join(" ")}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    "content-security-policy": policy.join("; "),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    // Not no-referrer: with it a form of our own page is sent with `Origin: null`. No other site gets a referrer either way.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
}
