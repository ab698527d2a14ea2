import { type CompactJwe, decryptCompact, encryptCompact, parseCompact } from "./compact-jwe.ts";
import type { KeyRing } from "./key-ring.ts";

/** What a sealed text belongs to. It unseals only there: of the same kind and id, at the same generation and version. */
export interface SealContext {
  readonly kind: "login_session" | "login_transaction" | "index_key" | "kept_reply" | "authorization_server_record";
  readonly id: string;
  readonly generation: number;
  readonly version: number;
}

export type Unsealed =
  | { readonly kind: "text"; readonly text: string }
  /** `problem` ends a sentence that begins with "it", and holds no secret. */
  | { readonly kind: "unreadable"; readonly problem: string };

/** Seals texts as JWE (RFC 7516, compact; `dir`, A256GCM). The protected header carries the context and is authenticated with the text. */
export class Sealer {
  readonly #ring: KeyRing;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** Seals with the active key. */
  async seal(context: SealContext, text: string): Promise<string> {
    const kid = this.#ring.activeId;
    const key = this.#ring.derive(kid, purposeOf(context));
    if (key === undefined) throw new Error("The active sealing key is not in the key ring.");
    return encryptCompact({ alg: "dir", enc: "A256GCM", kid, ctx: contextOf(context) }, text, key);
  }

  /** Never throws for what stands in `sealed`. */
  async unseal(context: SealContext, sealed: string): Promise<Unsealed> {
    const jwe = parseCompact(sealed);
    const kid = keyIdOf(jwe);
    if (jwe === undefined || kid === undefined) return unreadable("is no sealed text");
    const key = this.#ring.derive(kid, purposeOf(context));
    if (key === undefined) return unreadable(`was sealed with the key ${JSON.stringify(kid)}, which is not among the sealing keys`);
    try {
      const text = decryptCompact(jwe, key);
      if (JSON.stringify(jwe.header["ctx"]) !== JSON.stringify(contextOf(context)))
        return unreadable("belongs to another generation or version of the record");
      return { kind: "text", text };
    } catch {
      return unreadable("was changed, or belongs to another record, or the key of this name is another one");
    }
  }

  /** The id of the key that seals now. */
  get activeKeyId(): string {
    return this.#ring.activeId;
  }

  /** The id of the key that a text was sealed with; undefined: it is no sealed text. */
  keyId(sealed: string): string | undefined {
    return keyIdOf(parseCompact(sealed));
  }

  /** Whether the text was sealed with the key that seals now. */
  isActive(sealed: string): boolean {
    return keyIdOf(parseCompact(sealed)) === this.#ring.activeId;
  }
}

function purposeOf({ kind, id }: SealContext): string {
  return JSON.stringify([kind, id]);
}

function contextOf({ kind, id, generation, version }: SealContext): readonly (string | number)[] {
  return [kind, id, generation, version];
}

/** Whoever changed the file may have put anything there: only what looks like one of our names is repeated in a log. */
function keyIdOf(jwe: CompactJwe | undefined): string | undefined {
  const kid = jwe?.header.kid;
  return kid !== undefined && /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(kid) ? kid : undefined;
}

function unreadable(problem: string): Unsealed {
  return { kind: "unreadable", problem };
}
