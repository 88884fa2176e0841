/**
 * Records on their way to durability, in order. What must not be said before a record is committed
 * waits here. Without a journal every record is committed at once.
 */
import type { JournalRecord } from './records.js';

/** Numbers records and runs what waits for them. */
export class CommitLog {
  readonly #isDurable: boolean;
  readonly #persist: (number: number, record: JournalRecord) => void;
  #last = 0;
  #committed = 0;
  readonly #waiting: { number: number; action: () => void }[] = [];

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

  /** Hands `record` on to be written; returns its number. */
  append(record: JournalRecord): number {
    this.#last++;
    if (this.#isDurable) this.#persist(this.#last, record);
    else this.#committed = this.#last;
    return this.#last;
  }

  /** Runs `action` when record `number` is committed: now, if it is. Actions run in order of records. */
  whenCommitted(number: number, action: () => void): void {
    if (number <= this.#committed) {
      action();
      return;
    }
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1] as { number: number }).number > number) at--;
    this.#waiting.splice(at, 0, { number, action });
  }

  /** Everything up to `upTo` is durable. */
  onPersisted(upTo: number): void {
    this.#committed = Math.max(this.#committed, upTo);
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count] as { number: number }).number <= upTo)
      count++;
    for (const { action } of this.#waiting.splice(0, count)) action();
  }
}
