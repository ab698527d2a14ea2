import type { Audit } from "../audit/audit.ts";
import type { Logger } from "../logger.ts";
import type { Kept, ReplyJournal, ReplyJournalAdministration, ResealedReplies } from "../session/reply-journal.ts";
import { type LeftFile, linesInFilesBut, type Place, ReplyFile, takeLeftFile } from "./reply-file.ts";
import { type SlotLine, slotLine } from "./reply-slots.ts";
import type { Sealer } from "./sealer.ts";
import { unusable } from "./unusable.ts";

export interface LocalReplyJournalOptions {
  /** Absolute path of the journal's own folder. All processes that use one store use one folder. */
  readonly directory: string;
  readonly keeps: ReplyJournal["keeps"];
  readonly sealer: Sealer;
  readonly logger: Logger;
  readonly audit: Audit;
}

/** Keeps replies and debts on the local disk, sealed, each process in a file of its own. */
export class LocalReplyJournal implements ReplyJournal, ReplyJournalAdministration {
  readonly keeps: ReplyJournal["keeps"];
  readonly #options: LocalReplyJournalOptions;
  readonly #file: ReplyFile;
  readonly #places = new Map<string, Place>();
  #closed: Promise<void> | undefined;

  private constructor(options: LocalReplyJournalOptions, file: ReplyFile) {
    this.#options = options;
    this.keeps = options.keeps;
    this.#file = file;
  }

  /** Throws LatchkeyError `configuration_invalid` when the folder cannot be used. */
  static async open(options: LocalReplyJournalOptions): Promise<LocalReplyJournal> {
    const { directory } = options;
    try {
      return new LocalReplyJournal(options, await ReplyFile.create(directory));
    } catch (error) {
      throw unusable(`nothing can be written into ${directory}: correct its permissions, or free some space.`, error);
    }
  }

  /** How many replies are kept. */
  get size(): number {
    return this.#places.size;
  }

  async keep(kept: Kept): Promise<void> {
    const { id } = kept;
    const generation = kept.kind === "reply" ? kept.attempt.generation : 0;
    if (this.#places.has(id)) return;
    const sealed = await this.#options.sealer.seal(contextOf(id, generation), JSON.stringify(kept));
    this.#places.set(id, await this.#file.write(slotLine({ id, generation, sealed })));
  }

  async settle(id: string): Promise<void> {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    try {
      await this.#file.free(place);
    } catch (error) {
      this.#options.logger.warn("A kept reply could not be marked as stored. It may be looked at again, which changes nothing.", { error });
    }
  }

  async adopt(): Promise<readonly Kept[]> {
    const found: Kept[] = [];
    const seen = new Set([this.#file.name]);
    try {
      for (;;) {
        const left = takeLeftFile(this.#options.directory, seen);
        if (left === undefined) return found;
        seen.add(left.name);
        found.push(...(await this.#takeOver(left)));
      }
    } catch (error) {
      this.#options.logger.error("What another process kept of replies could not be taken over; it is tried again.", { error });
      return found;
    }
  }

  async reseal(): Promise<ResealedReplies> {
    const adopted = await this.adopt();
    return { resealed: adopted.length, elsewhere: linesInFilesBut(this.#file.name, this.#options.directory) };
  }

  close(): Promise<void> {
    this.#closed ??= this.#file.close();
    return this.#closed;
  }

  async #takeOver(left: LeftFile): Promise<readonly Kept[]> {
    const found: Kept[] = [];
    let { damaged } = left;
    try {
      for (const line of left.lines) {
        const kept = await this.#unseal(line);
        if (kept === undefined) damaged += 1;
        else {
          await this.keep(kept);
          found.push(kept);
        }
      }
      left.finish(damaged > 0);
    } catch (error) {
      left.release();
      this.#options.logger.error("What another process kept of replies could not be taken over; it is tried again.", { error });
    }
    if (damaged > 0) {
      this.#options.logger.error("A reply that was kept by another process cannot be read. Its file was put aside.", {
        damaged,
        file: left.name,
      });
      this.#options.audit.record({ event: "record_quarantined", table: "replies", problem: `${damaged} cut off or changed` });
    }
    // Also of a file that stays: what was read is kept here by now.
    return found;
  }

  async #unseal({ id, generation, sealed }: SlotLine): Promise<Kept | undefined> {
    const unsealed = await this.#options.sealer.unseal(contextOf(id, generation), sealed);
    return unsealed.kind === "text" ? parse(unsealed.text) : undefined;
  }
}

function contextOf(id: string, generation: number) {
  return { kind: "kept_reply", id, generation, version: 0 } as const;
}

/** What was sealed by us is what we wrote: only its outline is looked at. */
function parse(text: string): Kept | undefined {
  const value: unknown = JSON.parse(text);
  const isKept = typeof value === "object" && value !== null && "kind" in value && kinds.has(value.kind);
  return isKept ? (value as Kept) : undefined;
}

const kinds: ReadonlySet<unknown> = new Set<Kept["kind"]>(["reply", "import", "debt"]);
