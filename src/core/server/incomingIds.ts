/**
 * The ids of a pull of rows, as they arrive. They and the rows that answer them take memory, of which all such pulls
 * together may have so much: the ids as they come, the rows when they are read. Who finds none for its rows waits.
 */
import { PsError } from '../base/errors.js';
import type { Shard } from '../partition/keyRange.js';
import type { PullRows } from '../protocol/rowMessages.js';
import type { TableSpec } from '../table/embeddingTable.js';
import { faultOfIds } from './elementCheck.js';

/** A pull of more than this share of the memory is a large one. */
const LARGE_SHARE = 1 / 16;
/** When so much of the ids has come, there is memory for all: untouched, the rest costs nothing yet. */
const PROVEN_SHARE = 1 / 8;
/** Ids up to so many bytes are taken without asking: they are as much as a message. */
const FREE_IDS_BYTES = 65_536;

/** Bytes that pulls of rows may hold. Large ones have one half among them, so that small ones find room beside them. */
export class RowBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The longest pull, with its answer. */
  get maxPullBytes(): number {
    return Math.floor(this.#maxBytes / 2);
  }

  /** Whether there were `bytes` to take for a pull that needs `pullBytes` in all. */
  take(bytes: number, pullBytes: number): boolean {
    const isLarge = pullBytes > this.#maxBytes * LARGE_SHARE;
    if (this.#usedBytes + bytes > (isLarge ? this.maxPullBytes : this.#maxBytes)) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** One pull of rows on its way in. */
export class IncomingIds {
  readonly message: PullRows;
  /** Why it is refused, found so far. */
  fault: PsError | undefined;
  readonly #budget: RowBudget;
  readonly #shard: Shard;
  #name = '';
  #answerBytes = 0;
  #heldBytes = 0;
  #isAnswerTaken = false;
  #bytes: Uint8Array = new Uint8Array(0);
  #received = 0;

  constructor(message: PullRows, tables: readonly TableSpec[], shard: Shard, budget: RowBudget) {
    this.message = message;
    this.#budget = budget;
    this.#shard = shard;
    const table = tables[message.table];
    if (table === undefined) {
      this.fault = new PsError('PS_UNKNOWN_TENSOR', `no table has position ${message.table}`);
      return;
    }
    if (message.bytes % 8 !== 0) {
      this.fault = new PsError('PS_PROTOCOL', 'ids of rows have 8 bytes each');
      return;
    }
    this.#name = table.name;
    this.#answerBytes = (message.bytes / 8) * table.dim * 4;
    if (this.#pullBytes <= budget.maxPullBytes) return;
    const what = `${message.bytes / 8} rows of "${table.name}" and their ids have ${this.#pullBytes} bytes`;
    const most = `one pull may have ${budget.maxPullBytes} (half of limits.stagingBytes)`;
    this.fault = new PsError('PS_LIMIT', `${what}; ${most}: pull fewer rows at once`);
  }

  get #pullBytes(): number {
    return this.message.bytes + this.#answerBytes;
  }

  /** The next byte that is expected. */
  get received(): number {
    return this.#received;
  }

  get isComplete(): boolean {
    return this.#received === this.message.bytes;
  }

  /**
   * Takes the next bytes. What has come is charged; memory that was announced and not written to costs nothing.
   * REQUIRES: they do not go past the end.
   */
  add(payload: Uint8Array): void {
    const end = this.#received + payload.length;
    const charged = Math.max(0, end - Math.max(this.#received, FREE_IDS_BYTES));
    if (this.fault === undefined && charged > 0) {
      if (this.#budget.take(charged, this.#pullBytes)) this.#heldBytes += charged;
      else
        this.fault = new PsError(
          'PS_LIMIT',
          `${this.message.bytes / 8} rows are more than can be pulled now`,
        );
    }
    if (this.fault === undefined) {
      this.#grow(end);
      this.#bytes.set(payload, this.#received);
    }
    this.#received = end;
  }

  #grow(length: number): void {
    if (length <= this.#bytes.length) return;
    const before = this.#bytes;
    const { bytes } = this.message;
    const isProven = length >= bytes * PROVEN_SHARE;
    this.#bytes = new Uint8Array(isProven ? bytes : Math.min(bytes, Math.max(length, 2 * before.length)));
    this.#bytes.set(before);
  }

  /** Takes memory for the rows; false if there is none now. Once there was, it is true for good. REQUIRES: no fault. */
  takeAnswer(): boolean {
    if (!this.#isAnswerTaken && this.#budget.take(this.#pullBytes - this.#heldBytes, this.#pullBytes)) {
      this.#isAnswerTaken = true;
      this.#heldBytes = this.#pullBytes;
    }
    return this.#isAnswerTaken;
  }

  /** The ids. Throws the typed error that refuses the pull. REQUIRES: all have come. */
  words(): Uint32Array {
    if (this.fault !== undefined) throw this.fault;
    const words = new Uint32Array(this.#bytes.buffer);
    this.fault = faultOfIds(words, this.#name, this.#shard);
    if (this.fault !== undefined) throw this.fault;
    return words;
  }

  /** Gives its memory back: it is answered, or never will be. Repeating it is harmless. */
  release(): void {
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }
}
