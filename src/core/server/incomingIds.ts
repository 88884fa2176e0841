/**
 * The ids of a pull of rows, as they arrive. They and the rows that answer them take memory, of which all such pulls
 * together may have so much.
 */
import { PsError } from '../base/errors.js';
import type { Shard } from '../partition/keyRange.js';
import type { PullRows } from '../protocol/rowMessages.js';
import type { TableSpec } from '../table/embeddingTable.js';
import { faultOfIds } from './elementCheck.js';

/** Bytes that pulls of rows may hold. */
export class RowBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there were `bytes` to take. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
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
  #heldBytes = 0;
  #words: Uint32Array = new Uint32Array(0);
  #received = 0;

  constructor(message: PullRows, tables: readonly TableSpec[], shard: Shard, budget: RowBudget) {
    this.message = message;
    this.#budget = budget;
    this.#shard = shard;
    const table = tables[message.table];
    if (table === undefined) {
      this.fault = new PsError('PS_UNKNOWN_TENSOR', `no table has position ${message.table}`);
    } else if (message.bytes % 8 !== 0) {
      this.fault = new PsError('PS_PROTOCOL', 'ids of rows have 8 bytes each');
    } else {
      const bytes = message.bytes + (message.bytes / 8) * table.dim * 4;
      if (budget.take(bytes)) this.#heldBytes = bytes;
      else this.fault = new PsError('PS_LIMIT', `${message.bytes / 8} rows are more than can be pulled now`);
    }
    if (this.fault !== undefined) return;
    this.#name = table?.name ?? '';
    this.#words = new Uint32Array(message.bytes / 4);
  }

  /** The next byte that is expected. */
  get received(): number {
    return this.#received;
  }

  get isComplete(): boolean {
    return this.#received === this.message.bytes;
  }

  /** Takes the next bytes. REQUIRES: they do not go past the end. */
  add(payload: Uint8Array): void {
    if (this.fault === undefined) new Uint8Array(this.#words.buffer).set(payload, this.#received);
    this.#received += payload.length;
  }

  /** The ids. Throws the typed error that refuses the pull. REQUIRES: all have come. */
  words(): Uint32Array {
    this.fault ??= faultOfIds(this.#words, this.#name, this.#shard);
    if (this.fault !== undefined) throw this.fault;
    return this.#words;
  }

  /** Gives its memory back: it is answered, or never will be. Repeating it is harmless. */
  release(): void {
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }
}
