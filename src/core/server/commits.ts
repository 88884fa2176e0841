/**
 * Records on their way to durability, in order. What must not be said before a record is committed
 * waits here. Without a journal every record is committed at once. When records can't be written any
 * more, what waits is never said: whether those records will be found again nobody knows.
 */
import { PsError } from '../base/errors.js';
import type { JournalRecord } from './records.js';

interface Waiting {
  readonly number: number;
  readonly action: () => void;
  readonly onLost: (error: PsError) => void;
}

/** Numbers records and runs what waits for them. */
export class CommitLog {
  readonly #isDurable: boolean;
  readonly #persist: (number: number, record: JournalRecord) => void;
  #last = 0;
  #committed = 0;
  #roomBytes = Number.POSITIVE_INFINITY;
  #failure: PsError | undefined;
  #waiting: Waiting[] = [];

  /** `isDurable`: wait for `onPersisted`; otherwise nothing is persisted. */
  constructor(isDurable: boolean, persist: (number: number, record: JournalRecord) => void) {
    this.#isDurable = isDurable;
    this.#persist = persist;
  }

  /** The last record's number. */
  get last(): number {
    return this.#last;
  }

  /** Records that are not committed. */
  get pending(): number {
    return this.#last - this.#committed;
  }

  /** Why nothing can be committed any more; undefined while it can. */
  get failure(): PsError | undefined {
    return this.#failure;
  }

  /** The records up to `last` are in the state that was recovered. */
  restore(last: number): void {
    this.#last = last;
    this.#committed = last;
  }

  /** Gradients of so many bytes may still be recorded. */
  setRoom(bytes: number): void {
    this.#roomBytes = bytes;
  }

  /** Throws `PS_STORAGE` if a gradient of `bytes` can't be recorded now. */
  checkRoom(bytes: number): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (bytes > this.#roomBytes) throw new PsError('PS_STORAGE', 'the disk of the server is full');
  }

  /** Hands `record`, which has been carried out, on to be written; returns its number. */
  append(record: JournalRecord): number {
    this.#last++;
    if (!this.#isDurable) this.#committed = this.#last;
    else if (this.#failure === undefined) this.#persist(this.#last, record);
    if (record.kind === 'push') this.#roomBytes -= record.gradient.byteLength;
    return this.#last;
  }

  /**
   * Runs `action` when record `number` is committed: now, if it is. Actions run in order of records.
   * If that can't come any more, `onLost` runs instead.
   */
  whenCommitted(number: number, action: () => void, onLost: (error: PsError) => void = () => {}): void {
    if (number <= this.#committed) {
      action();
      return;
    }
    if (this.#failure !== undefined) {
      onLost(this.#failure);
      return;
    }
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1] as Waiting).number > number) at--;
    this.#waiting.splice(at, 0, { number, action, onLost });
  }

  /** Everything up to `upTo` is durable. */
  onPersisted(upTo: number): void {
    this.#committed = Math.max(this.#committed, upTo);
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count] as Waiting).number <= upTo) count++;
    for (const { action } of this.#waiting.splice(0, count)) action();
  }

  /** Nothing can be written any more. */
  fail(error: PsError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const { onLost } of this.#waiting.splice(0)) onLost(error);
  }
}
