/**
 * Results of generic tasks as they arrive on one connection: several in one transfer, in chunks that come in
 * order. Memory is taken for a result when its first byte comes, and only if its worker holds the lease: what
 * a message announces costs nothing.
 */
import { PsError } from '../base/errors.js';
import { MAX_LEASES } from '../protocol/limits.js';
import type { TaskResultChunk, TaskResults } from '../protocol/taskMessages.js';

/** One transfer of results. */
export class TaskIntake {
  readonly message: TaskResults;
  readonly #isHeld: (lease: number) => boolean;
  readonly #values: (Uint8Array | undefined)[] = [];
  /** Where the next byte belongs: the result, and the place in it. */
  #index = 0;
  #at = 0;
  #received = 0;
  #heldBytes = 0;

  /** Throws `PS_PROTOCOL` for a transfer that contradicts itself or is longer than is allowed. */
  constructor(message: TaskResults, maxResultBytes: number, isHeld: (lease: number) => boolean) {
    const { leases, lengths, bytes, failed = [] } = message;
    const isSound =
      leases.length > 0 &&
      leases.length <= MAX_LEASES &&
      lengths.length === leases.length &&
      failed.every((position) => position < leases.length) &&
      lengths.every((length) => length % 8 === 0 && length <= maxResultBytes) &&
      lengths.reduce((sum, length) => sum + length, 0) === bytes;
    if (!isSound)
      throw new PsError('PS_PROTOCOL', `the results of request ${message.request} are out of bounds`);
    this.message = message;
    this.#isHeld = isHeld;
  }

  get isComplete(): boolean {
    return this.#received === this.message.bytes;
  }

  /** Bytes of memory that it has taken. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes the next bytes. `message`: undefined for the first. Throws `PS_PROTOCOL` if they are not the next. */
  add(message: TaskResultChunk | undefined, payload: Uint8Array): void {
    const isNext =
      this.#received + payload.length <= this.message.bytes &&
      (message === undefined ||
        (message.request === this.message.request &&
          message.offset === this.#received &&
          payload.length > 0));
    if (!isNext)
      throw new PsError(
        'PS_PROTOCOL',
        `a chunk of results of request ${this.message.request} is out of place`,
      );
    this.#received += payload.length;
    for (let taken = 0; taken < payload.length; ) taken += this.#put(payload.subarray(taken));
  }

  /** Puts what belongs to one result in its place; returns how many bytes that were. */
  #put(bytes: Uint8Array): number {
    const { leases, lengths } = this.message;
    while (lengths[this.#index] === this.#at) {
      this.#index++;
      this.#at = 0;
    }
    const length = lengths[this.#index] as number;
    if (this.#at === 0 && this.#isHeld(leases[this.#index] as number)) {
      this.#values[this.#index] = new Uint8Array(length);
      this.#heldBytes += length;
    }
    const part = bytes.subarray(0, length - this.#at);
    this.#values[this.#index]?.set(part, this.#at);
    this.#at += part.length;
    return part.length;
  }

  /** Each result of a lease that was held: its lease, its bytes, and whether it says why the task failed. REQUIRES: it is complete. */
  *results(): Generator<{ lease: number; value: Uint8Array; isFailed: boolean }> {
    const { leases, failed = [] } = this.message;
    for (const [i, lease] of leases.entries()) {
      const value = this.#values[i];
      if (value !== undefined) yield { lease, value, isFailed: failed.includes(i) };
    }
  }
}
