import type { Kept, ReplyJournal } from "../../src/session/reply-journal.ts";

/** A disk that several processes share: what a process has kept is there for the next once it is dead. */
export class KeptDisk {
  readonly left: Kept[] = [];
  readonly kept = new Map<string, Kept>();
  isBroken = false;
  onKeep: () => unknown = () => undefined;

  journal(keeps: ReplyJournal["keeps"] = "when_refused"): ReplyJournal {
    return {
      keeps,
      keep: async (kept) => {
        if (this.isBroken) throw new Error("no space left");
        this.onKeep();
        this.kept.set(kept.id, kept);
      },
      settle: async (id) => void this.kept.delete(id),
      adopt: async () => this.left.splice(0),
      close: async () => {},
    };
  }

  /** All processes are killed. */
  die(): void {
    this.left.push(...this.kept.values());
  }
}
