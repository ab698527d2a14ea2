/** The file is divided into slots of this size; a line takes as many in a row as it needs. */
export const slotBytes = 8 * 1024;

/** A line that stood whole in the file. */
export interface SlotLine {
  readonly id: string;
  readonly generation: number;
  readonly sealed: string;
}

/** What a journal's file holds. `damaged`: so many lines were cut off or changed. */
export interface SlotLines {
  readonly lines: readonly SlotLine[];
  readonly damaged: number;
}

/**
 * Which slots of the file are taken. Slots are used again, so that the file does not grow, and what is written there
 * overwrites what was there before: a full disk does not stop it.
 */
export class Slots {
  readonly #taken: boolean[] = [];

  /** The first of `count` free slots in a row. */
  take(count: number): number {
    let first = 0;
    for (let at = 0; at - first < count; at += 1) if (this.#taken[at] === true) first = at + 1;
    for (let at = first; at < first + count; at += 1) this.#taken[at] = true;
    return first;
  }

  free(first: number, count: number): void {
    for (let at = first; at < first + count; at += 1) this.#taken[at] = false;
  }

  /** How many are taken. */
  get size(): number {
    return this.#taken.filter((taken) => taken).length;
  }
}

/** A line begins with `+` while it counts. Nothing that is sealed contains a plus sign, so that the rest of an old line is not taken for one. */
const counts = "+";
/** What the first byte is replaced by once it does not count any more. */
export const settled = "-";

/** A line as it stands in the file. */
export function slotLine({ id, generation, sealed }: SlotLine): string {
  return `${counts}${id} ${generation} ${sealed}\n`;
}

/** How many slots a line takes. */
export function slotsFor(line: string): number {
  return Math.ceil(Buffer.byteLength(line) / slotBytes);
}

const shape = /^\+([\w-]{8,64}) (\d{1,15}) ([\w.-]+)$/;

/** Reads a file that its owner has left, at whatever moment. What was being written then is cut off, and is told of. */
export function readSlots(content: Buffer): SlotLines {
  const lines: SlotLine[] = [];
  let damaged = 0;
  for (let at = 0; at < content.length; ) {
    if (content[at] !== counts.charCodeAt(0)) {
      at += slotBytes;
      continue;
    }
    const end = content.indexOf("\n", at);
    const text = content.toString("latin1", at, end === -1 ? content.length : end);
    const [, id, generation, sealed] = shape.exec(text) ?? [];
    if (end === -1 || id === undefined || sealed === undefined) {
      damaged += 1;
      // How long it was to be is not known: the next slot may hold another line.
      at += slotBytes;
    } else {
      lines.push({ id, generation: Number(generation), sealed });
      at += slotsFor(`${text}\n`) * slotBytes;
    }
  }
  return { lines, damaged };
}
