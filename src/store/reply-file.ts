import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join, sep } from "node:path";
import { ProcessLock } from "./process-lock.ts";
import { readSlots, type SlotLines, Slots, settled, slotBytes, slotsFor } from "./reply-slots.ts";

const suffix = ".replies";
/** Written when the file is made: so much finds room even when the disk is full later. */
const reservedBytes = 128 * slotBytes;

/** Where a line stands. */
export interface Place {
  readonly first: number;
  readonly count: number;
}

interface Job {
  readonly bytes: Buffer;
  readonly offset: number;
  done(): void;
  failed(error: unknown): void;
}

/** The file of one process (0600), in a folder that several share (0700), with a lock beside it. Lines that are written at one time share one wait for the disk. */
export class ReplyFile {
  readonly name: string;
  readonly #directory: string;
  readonly #handle: FileHandle;
  readonly #lock: ProcessLock;
  readonly #slots = new Slots();
  #jobs: Job[] = [];
  #draining: Promise<void> | undefined;

  private constructor(directory: string, name: string, handle: FileHandle, lock: ProcessLock) {
    this.#directory = directory;
    this.name = name;
    this.#handle = handle;
    this.#lock = lock;
  }

  /** Makes a file with a random name, and the folder. Throws what the file system throws. */
  static async create(directory: string): Promise<ReplyFile> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const name = randomBytes(9).toString("hex");
    const lock = ProcessLock.tryTake(lockOf(directory, name));
    if (lock === undefined) throw new Error("The lock of a new journal file is held by somebody else.");
    const path = join(directory, name + suffix);
    try {
      const file = openSync(path, "wx", 0o600);
      try {
        writeSync(file, Buffer.alloc(reservedBytes, "\n"));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      syncDirectory(directory);
      return new ReplyFile(directory, name, await open(path, "r+"), lock);
    } catch (error) {
      rmSync(path, { force: true });
      lock.release(true);
      throw error;
    }
  }

  /** Resolves when the line is on the disk. */
  async write(line: string): Promise<Place> {
    const count = slotsFor(line);
    const place = { first: this.#slots.take(count), count };
    try {
      await this.#put(Buffer.from(line), place);
      return place;
    } catch (error) {
      await this.free(place).catch(() => undefined);
      throw error;
    }
  }

  /** The line counts no more. Whoever reads after the death of the process knows that at once; after a loss of power, perhaps not. */
  async free({ first, count }: Place): Promise<void> {
    await this.#handle.write(settled, first * slotBytes);
    this.#slots.free(first, count);
  }

  /** How many lines' slots are taken. */
  get size(): number {
    return this.#slots.size;
  }

  async close(): Promise<void> {
    await this.#draining;
    await this.#handle.close();
    const isEmpty = this.size === 0;
    if (isEmpty) rmSync(join(this.#directory, this.name + suffix), { force: true });
    this.#lock.release(isEmpty);
  }

  #put(bytes: Buffer, { first }: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ bytes, offset: first * slotBytes, done: resolve, failed: reject });
      this.#draining ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    while (this.#jobs.length > 0) {
      const batch = this.#jobs.splice(0);
      try {
        for (const { bytes, offset } of batch) {
          const { bytesWritten } = await this.#handle.write(bytes, 0, bytes.length, offset);
          // A disk that fills up takes the first part without an error.
          if (bytesWritten < bytes.length) throw new Error("The disk took a part only.");
        }
        await this.#handle.datasync();
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#draining = undefined;
  }
}

/** A file whose process is gone. */
export interface LeftFile extends SlotLines {
  readonly name: string;
  /** Call it when everything in it is kept elsewhere. `damaged`: the file stays, under another name, and is not looked at again. */
  finish(damaged: boolean): void;
  /** Leaves it for later. */
  release(): void;
}

/** The next file in the folder whose process is gone, apart from those in `without`. It belongs to the caller until it lets go. */
export function takeLeftFile(directory: string, without: ReadonlySet<string>): LeftFile | undefined {
  for (const entry of readdirSync(directory)) {
    const name = entry.slice(0, -suffix.length);
    if (!entry.endsWith(suffix) || without.has(name)) continue;
    const lock = ProcessLock.tryTake(lockOf(directory, name));
    if (lock === undefined) continue;
    const path = join(directory, entry);
    try {
      // Somebody else may have finished it before we had the lock.
      if (statSync(path, { throwIfNoEntry: false }) === undefined) {
        lock.release(true);
        continue;
      }
      return {
        name,
        ...readSlots(readFileSync(path)),
        finish: (damaged) => {
          if (damaged) renameSync(path, `${path}.damaged`);
          else rmSync(path, { force: true });
          syncDirectory(directory);
          lock.release(true);
        },
        release: () => lock.release(false),
      };
    } catch (error) {
      lock.release(false);
      throw error;
    }
  }
  return undefined;
}

/** How many lines count in the files of others, whether their processes live or not. Throws what the file system throws. */
export function linesInFilesBut(own: string, directory: string): number {
  let count = 0;
  for (const entry of readdirSync(directory)) {
    const path = join(directory, entry);
    // One that was finished meanwhile has nothing any more.
    if (!entry.endsWith(suffix) || entry === own + suffix || statSync(path, { throwIfNoEntry: false }) === undefined) continue;
    const { lines, damaged } = readSlots(readFileSync(path));
    // Perhaps one that is just being written.
    count += lines.length + damaged;
  }
  return count;
}

function lockOf(directory: string, name: string): string {
  return join(directory, `${name}.lock`);
}

/** So that a new name, or the end of one, outlives the power. */
function syncDirectory(directory: string): void {
  // Windows cannot open a folder.
  if (sep !== "/") return;
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
