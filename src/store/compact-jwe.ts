import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/*
 * JWE in its compact form (RFC 7516, section 7.1) with one algorithm: `dir` and A256GCM (RFC 7518, sections 4.5 and 5.3).
 * node:crypto does it at once on this thread, where WebCrypto takes a turn through the thread pool for each text
 * (decision 0019). Any JWE library reads what is written here.
 */

export interface JweHeader {
  readonly alg: "dir";
  readonly enc: "A256GCM";
  readonly kid: string;
  readonly [name: string]: unknown;
}

/** The five parts of a text that is made as a JWE of ours; nothing is authenticated yet. */
export interface CompactJwe {
  readonly header: JweHeader;
  readonly encodedHeader: string;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

const cipher = "aes-256-gcm";
const ivBytes = 12;
const authTagLength = 16;

/** `key` has 256 bits. Each text has a random IV. */
export function encryptCompact(header: JweHeader, text: string, key: Uint8Array): string {
  const encodedHeader = Buffer.from(JSON.stringify(header)).toString("base64url");
  const iv = randomBytes(ivBytes);
  const encrypting = createCipheriv(cipher, key, iv, { authTagLength });
  encrypting.setAAD(Buffer.from(encodedHeader, "ascii"));
  const ciphertext = Buffer.concat([encrypting.update(text, "utf8"), encrypting.final()]);
  const tag = encrypting.getAuthTag();
  return `${encodedHeader}..${iv.toString("base64url")}.${ciphertext.toString("base64url")}.${tag.toString("base64url")}`;
}

/**
 * Undefined: it is no compact JWE with `dir`, A256GCM and a key id, or it asks for what is not done here: compression
 * (`zip`), critical extensions (`crit`), an encrypted key, another spelling of its base64url.
 */
export function parseCompact(compact: string): CompactJwe | undefined {
  const [encodedHeader = "", encryptedKey, iv, ciphertext, tag, more] = compact.split(".");
  if (encryptedKey !== "" || more !== undefined) return undefined;
  const header = headerOf(encodedHeader);
  const parts = { iv: decode(iv), ciphertext: decode(ciphertext), tag: decode(tag) };
  if (header === undefined || parts.ciphertext === undefined) return undefined;
  if (parts.iv?.length !== ivBytes || parts.tag?.length !== authTagLength) return undefined;
  return { header, encodedHeader, iv: parts.iv, ciphertext: parts.ciphertext, tag: parts.tag };
}

/** Throws when the text, its header or its tag was changed, or the key is another one. */
export function decryptCompact(jwe: CompactJwe, key: Uint8Array): string {
  const decrypting = createDecipheriv(cipher, key, jwe.iv, { authTagLength });
  decrypting.setAAD(Buffer.from(jwe.encodedHeader, "ascii"));
  decrypting.setAuthTag(jwe.tag);
  return Buffer.concat([decrypting.update(jwe.ciphertext), decrypting.final()]).toString("utf8");
}

function headerOf(encoded: string): JweHeader | undefined {
  const bytes = decode(encoded);
  if (bytes === undefined) return undefined;
  try {
    const header: unknown = JSON.parse(bytes.toString("utf8"));
    return isHeader(header) ? header : undefined;
  } catch {
    return undefined;
  }
}

function isHeader(value: unknown): value is JweHeader {
  if (typeof value !== "object" || value === null || "zip" in value || "crit" in value) return false;
  return (
    "alg" in value && value.alg === "dir" && "enc" in value && value.enc === "A256GCM" && "kid" in value && typeof value.kid === "string"
  );
}

/** Node reads padding, other alphabets and stray bits without a word: only the one canonical spelling passes. */
function decode(encoded: string | undefined): Buffer | undefined {
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, "base64url");
  return bytes.toString("base64url") === encoded ? bytes : undefined;
}
