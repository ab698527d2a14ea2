import { randomBytes } from "node:crypto";

/** Makes opaque values. */
export type SecretSource = (prefix: string) => string;

/** 192 random bits each; with a seed: guessable on purpose, and always the same row of them. */
export function secretSource(seed: number | undefined): SecretSource {
  if (seed === undefined) return (prefix) => `${prefix}-${randomBytes(24).toString("base64url")}`;
  const random = seededRandom(seed);
  return (prefix) => `${prefix}-${Array.from({ length: 6 }, () => Math.floor(random() * 2 ** 32).toString(36)).join("")}`;
}

/** Numbers from 0 up to 1, the same row for the same seed (mulberry32). Not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
