/**
 * Where a simulated server keeps its state beyond its life: nowhere, or in a log of records that are
 * durable some time after they were handed over. A crash keeps the durable ones, and of the others as many
 * as happened to have got through.
 */
import type { Random } from '../../core/base/random.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { ServerState } from '../../core/server/state.js';
import { runToEnd } from '../../core/table/job.js';
import type { SimProcess } from '../network/simProcess.js';

/** What a server asks of its store. */
export interface ServerStore {
  /** Records must be persisted before they are acknowledged. */
  readonly isDurable: boolean;
  /** Whether there is a state of an earlier life. */
  readonly hasState: boolean;
  /** Brings `core` to the state that was kept; later records come from `process`. */
  open(core: ServerCore, process: SimProcess, onPersisted: (upTo: number) => void): void;
  persist(number: number, record: JournalRecord): void;
  /** The process has died. */
  crashed(): void;
  /** Records that are not durable yet. */
  readonly pending: number;
  /** Until `until` nothing becomes durable. */
  stall(until: number): void;
}

/** Keeps nothing. */
export class MemoryStore implements ServerStore {
  readonly isDurable = false;
  readonly hasState = false;
  readonly pending = 0;
  open(): void {}
  persist(): void {}
  crashed(): void {}
  stall(): void {}
}

interface Unsynced {
  readonly number: number;
  readonly record: JournalRecord;
}

/** Keeps every record. */
export class RecordStore implements ServerStore {
  readonly isDurable = true;
  readonly #random: Random;
  readonly #syncMs: () => number;
  readonly #durable: JournalRecord[] = [];
  #unsynced: Unsynced[] = [];
  #process: SimProcess | undefined;
  #onPersisted: (upTo: number) => void = () => {};
  #isSyncing = false;
  #stalledUntil = 0;

  /** `syncMs`: how long the next sync takes. */
  constructor(random: Random, syncMs: () => number) {
    this.#random = random;
    this.#syncMs = syncMs;
  }

  get hasState(): boolean {
    return this.#durable.length > 0;
  }

  get pending(): number {
    return this.#unsynced.length;
  }

  /** The durable records, oldest first. */
  get records(): readonly JournalRecord[] {
    return this.#durable;
  }

  open(core: ServerCore, process: SimProcess, onPersisted: (upTo: number) => void): void {
    this.#process = process;
    this.#onPersisted = onPersisted;
    this.#isSyncing = false;
    replay(this.#durable, core.state, process.now);
  }

  persist(number: number, record: JournalRecord): void {
    this.#unsynced.push({ number, record });
    this.#sync();
  }

  stall(until: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, until);
  }

  crashed(): void {
    const kept = this.#unsynced.slice(0, this.#random.nextInt(this.#unsynced.length + 1));
    for (const { record } of kept) this.#durable.push(copyOf(record));
    this.#unsynced = [];
  }

  #sync(): void {
    if (this.#isSyncing || this.#unsynced.length === 0) return;
    this.#isSyncing = true;
    const count = this.#unsynced.length;
    const process = this.#process as SimProcess;
    const doneAt = Math.max(process.timeOf(process.now), this.#stalledUntil) + this.#syncMs();
    process.at(doneAt, () => {
      this.#isSyncing = false;
      const synced = this.#unsynced.splice(0, count);
      for (const { record } of synced) this.#durable.push(copyOf(record));
      this.#sync();
      this.#onPersisted((synced[synced.length - 1] as Unsynced).number);
    });
  }
}

/** Carries out `records` one after the other on `state`. */
export function replay(records: Iterable<JournalRecord>, state: ServerState, now: number): void {
  for (const record of records) {
    const left = state.apply(record, now);
    if (left !== undefined) runToEnd(left);
  }
  for (const session of state.sessions.values()) session.committedSeq = session.decidedSeq;
}

/** A copy taken when the record is written: what is changed before that shows. */
function copyOf(record: JournalRecord): JournalRecord {
  if (record.kind === 'push') return { ...record, gradient: record.gradient.slice() };
  if (record.kind === 'load') return { ...record, values: record.values.slice() };
  return record;
}
