/**
 * Results of generic tasks as they arrive on one connection: several in one transfer, in chunks that come in
 * order. Their bounds are checked before memory is taken.
 */
import { PsError } from '../base/errors.js';
import { MAX_LEASES } from '../protocol/limits.js';
import type { TaskResultChunk, TaskResults } from '../protocol/taskMessages.js';

/** One transfer of results. */
export class TaskIntake {
  readonly message: TaskResults;
  readonly #bytes: Uint8Array;
  #received = 0;

  /** Throws `PS_PROTOCOL` for a transfer that contradicts itself or is longer than is allowed. */
  constructor(message: TaskResults, maxResultBytes: number) {
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
    this.#bytes = new Uint8Array(bytes);
  }

  get isComplete(): boolean {
    return this.#received === this.#bytes.length;
  }

  /** Takes the next bytes. `message`: undefined for the first. Throws `PS_PROTOCOL` if they are not the next. */
  add(message: TaskResultChunk | undefined, payload: Uint8Array): void {
    const isNext =
      this.#received + payload.length <= this.#bytes.length &&
      (message === undefined ||
        (message.request === this.message.request &&
          message.offset === this.#received &&
          payload.length > 0));
    if (!isNext)
      throw new PsError(
        'PS_PROTOCOL',
        `a chunk of results of request ${this.message.request} is out of place`,
      );
    this.#bytes.set(payload, this.#received);
    this.#received += payload.length;
  }

  /** Each result: its lease, its bytes, and whether it says why the task failed. REQUIRES: it is complete. */
  *results(): Generator<{ lease: number; value: Uint8Array; isFailed: boolean }> {
    const { leases, lengths, failed = [] } = this.message;
    let at = 0;
    for (const [i, lease] of leases.entries()) {
      const end = at + (lengths[i] as number);
      yield { lease, value: this.#bytes.subarray(at, end), isFailed: failed.includes(i) };
      at = end;
    }
  }
}
