/**
 * The absolute address of a path on our own origin, or undefined when `path` leads anywhere else (`//evil`, `/\evil`,
 * `https://evil`) or is no path at all. The result is absolute, so no browser can read it as another host.
 */
export function localAddress(path: string, publicUrl: URL): string | undefined {
  if (path.length > 2000 || !plainPath.test(path) || !URL.canParse(path, publicUrl.origin)) return undefined;
  const address = new URL(path, publicUrl.origin);
  return address.origin === publicUrl.origin ? address.href : undefined;
}

/** One slash in front, no second one, no backslash anywhere, and only visible ASCII: browsers drop tabs and line ends. */
const plainPath = /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/;
