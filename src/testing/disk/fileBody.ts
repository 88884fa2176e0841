/**
 * The bytes of a file on a simulated disk, and what of them would be there after a loss of power. Changes
 * since the last sync are kept with what was there before, so that each can be undone.
 */
import type { Random } from '../../core/base/random.js';
import { smallCopy } from '../../core/base/smallBytes.js';

/** Bytes that reach the disk together or not at all. */
const SECTOR_BYTES = 512;
const NO_BYTES = new Uint8Array(0);

interface Change {
  readonly at: number;
  /** Undefined: the file was cut off at `at`. */
  readonly after: Uint8Array | undefined;
  readonly before: Uint8Array;
  readonly sizeBefore: number;
}

/** One file. */
export class FileBody {
  #bytes: Uint8Array = NO_BYTES;
  #size = 0;
  #unsynced: Change[] = [];

  get size(): number {
    return this.#size;
  }

  /** A copy of [at, at + length), as far as the file goes. */
  read(at: number, length: number): Uint8Array {
    const end = Math.min(this.#size, at + length);
    return end <= at ? NO_BYTES : smallCopy(this.#bytes.subarray(at, end));
  }

  write(at: number, bytes: Uint8Array): void {
    this.#unsynced.push({ at, after: bytes, before: this.read(at, bytes.length), sizeBefore: this.#size });
    this.#put(at, bytes);
  }

  truncate(size: number): void {
    this.#unsynced.push({
      at: size,
      after: undefined,
      before: this.read(size, this.#size),
      sizeBefore: this.#size,
    });
    this.#resize(size);
  }

  /** Makes everything durable. */
  sync(): void {
    this.#unsynced = [];
  }

  /** Power is lost: of each change since the last sync all, nothing, or some sectors are there. */
  losePower(random: Random): void {
    const changes = this.#unsynced;
    this.#unsynced = [];
    for (const { at, before, sizeBefore } of [...changes].reverse()) {
      this.#put(at, before);
      this.#resize(sizeBefore);
    }
    for (const { at, after } of changes) {
      const fate = random.nextInt(3);
      if (fate === 0) continue;
      if (after === undefined) this.#resize(at);
      else if (fate === 1) this.#put(at, after);
      else this.#putSectors(at, after, random);
    }
  }

  #putSectors(at: number, bytes: Uint8Array, random: Random): void {
    for (let from = 0; from < bytes.length; from += SECTOR_BYTES) {
      if (random.nextInt(2) === 0) this.#put(at + from, bytes.subarray(from, from + SECTOR_BYTES));
    }
  }

  #put(at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (at + bytes.length > this.#size) this.#resize(at + bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** What is cut off, or comes between, reads as zeros. */
  #resize(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(1024, size, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }
}
