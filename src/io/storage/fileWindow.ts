/**
 * A file read from front to back through a window of a few MiB. What is asked for lies in one piece of
 * memory, aligned as it is in the file.
 */
import type { DiskFile } from './disk.js';
import { result, type Task } from './task.js';

const WINDOW_BYTES = 8_388_608;

/** The part of a file that is in memory. */
export class FileWindow {
  readonly #file: DiskFile;
  readonly #size: number;
  #start = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** The bytes [at, at + length), fewer where the file ends. A view, valid as long as it is used. REQUIRES: at % 8 = 0. */
  *read(at: number, length: number): Task<Uint8Array> {
    const end = Math.min(at + length, this.#size);
    if (at < this.#start || end > this.#start + this.#bytes.length) {
      const count = Math.min(Math.max(length, WINDOW_BYTES), this.#size - at);
      this.#bytes = yield* result<Uint8Array>((done) => this.#file.read(at, count, done));
      this.#start = at;
    }
    return this.#bytes.subarray(at - this.#start, end - this.#start);
  }
}
