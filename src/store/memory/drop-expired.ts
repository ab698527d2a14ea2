/** Entries are in the order of their making and live about as long, so the expired ones stand in front. Gives what it dropped. */
export function dropExpired<Key, Entry extends { readonly expiresAt: number }>(entries: Map<Key, Entry>, now: number): readonly Entry[] {
  const dropped: Entry[] = [];
  for (const [key, entry] of entries) {
    if (entry.expiresAt > now) break;
    entries.delete(key);
    dropped.push(entry);
  }
  return dropped;
}
