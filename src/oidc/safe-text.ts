const longestText = 200;

/**
 * Foreign text for a person to read: one line, printable, nothing that markup could be made of, at most 200 characters.
 * Undefined when nothing is left.
 */
export function safeText(text: unknown): string | undefined {
  if (typeof text !== "string") return undefined;
  const printable = text
    .slice(0, 4 * longestText)
    .replace(/[\p{C}\p{Z}]+/gu, " ")
    .replace(/[<>&"`]/g, "")
    .trim();
  const characters = [...printable];
  if (characters.length === 0) return undefined;
  return characters.length > longestText ? `${characters.slice(0, longestText - 1).join("")}…` : printable;
}
