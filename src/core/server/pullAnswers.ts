/**
 * Answers to pulls: parameters as views of a version that is held until their last byte is copied, rows of a table as
 * a copy. Whether a pull may be answered is decided before.
 */
import { invariant } from '../base/invariant.js';
import { MAX_SPANS } from '../protocol/limits.js';
import { MessageType, type Pull } from '../protocol/messages.js';
import type { PullRows } from '../protocol/rowMessages.js';
import type { EmbeddingTable } from '../table/embeddingTable.js';
import { type Budget, type Job, JobThen, SLICE_ELEMENTS } from '../table/job.js';
import type { Pin } from '../table/versionStore.js';
import { rangeSelection, type Selection, spanSelection } from '../tensor/catalogue.js';
import { RowBuffers } from '../tensor/rowBuffers.js';
import { holdMs, isOverdue, MAKE_ROOM_MS } from './contention.js';
import type { CoreContext } from './context.js';
import type { IncomingIds } from './incomingIds.js';
import { type PullAnswer, PullStream } from './pullStream.js';
import type { Session } from './session.js';

/** A pull of parameters. */
export interface DensePull {
  readonly session: Session;
  readonly connection: number;
  readonly message: Pull;
  readonly selection: Selection;
}

/** A pull of rows. */
export interface RowPull {
  readonly session: Session;
  readonly connection: number;
  readonly message: PullRows;
  readonly rows: IncomingIds;
}

/** What finding and moving a row costs, in elements of a slice. */
const ROW_COST = 64;
/** Bytes of copies for pulls that found no version free; those that nobody trains on may have half of it. */
const COPIES_BYTES = 67_108_864;

/** Sends answers, and holds what they refer to. */
export class PullAnswers {
  readonly #context: CoreContext;
  readonly #later: (job: Job) => void;
  readonly #streams = new Map<number, PullStream>();
  readonly #buffers = new RowBuffers();
  #copiedBytes = 0;

  /** `later` queues a job behind the updates before it. */
  constructor(context: CoreContext, later: (job: Job) => void) {
    this.#context = context;
    this.#later = later;
  }

  /** Sends the parameters; false if no version can be held for it now. */
  sendDense(pull: DensePull, mayReadOld: (pin: Pin) => boolean): boolean {
    const { message } = pull;
    if (this.isCurrent(message)) {
      this.sendNotModified(pull);
      return true;
    }
    if (!message.consistent) {
      this.#send(pull, { selection: pull.selection, pin: undefined, holds: 'nothing', release: () => {} });
      return true;
    }
    const { now, options, state } = this.#context;
    const { versions } = state.table;
    const least = Math.max(pull.session.ownVersion, this.#leastVersion(message));
    const isGuest = !message.training;
    // Readers that join one another would hold an old version for ever, and never see a new one.
    const isFresh = (old: Pin): boolean => !isGuest || now - old.since < holdMs(options.limits);
    const suits = (old: Pin): boolean => old.version >= least && isFresh(old) && mayReadOld(old);
    const current = versions.pin(state.clocks.minClock, now, isGuest);
    if (current === undefined && this.#sendCopy(pull)) return true;
    const pin = current ?? versions.pinOld(suits, now, isGuest);
    if (pin === undefined) return false;
    const release = (): void => versions.release(pin, isGuest);
    const { selection, spans } = this.#partOf(pull);
    this.#send(pull, { selection, spans, pin, holds: 'version', release });
    return true;
  }

  /**
   * Sends a copy of the current version, which cannot be held: only of a few parameters, one message, so that whoever
   * trains on them need not wait until others have read whole models. False if they are more, or just being written.
   */
  #sendCopy(pull: DensePull): boolean {
    const { message } = pull;
    const { selection, spans } = this.#partOf(pull);
    const { state, options, now } = this.#context;
    const { versions } = state.table;
    const bytes = selection.length * 4;
    const maxBytes = message.training ? COPIES_BYTES : COPIES_BYTES / 2;
    if (bytes > options.limits.chunkBytes || this.#copiedBytes + bytes > maxBytes) return false;
    if (versions.isWritingInPlace) return false;
    const { current, version } = versions;
    const values = new Float32Array(selection.length);
    selection.forEachPiece(0, selection.length, (offset, at, length) => {
      values.set(current.subarray(offset, offset + length), at);
    });
    this.#copiedBytes += bytes;
    const pin: Pin = { values, version, minClock: state.clocks.minClock, since: now };
    const release = (): void => {
      this.#copiedBytes -= bytes;
    };
    this.#send(pull, { selection: rangeSelection(values.length), spans, pin, holds: 'nothing', release });
    return true;
  }

  /** What is sent: all, or what the asker's copy lacks. Of an older version that is read, too, nothing can be missing. */
  #partOf({ selection, message }: DensePull): Pick<PullAnswer, 'selection' | 'spans'> {
    const { spans: max, ifNewerThan } = message;
    if (max === undefined) return { selection };
    const { changes, versions } = this.#context.state.table;
    changes.watch(versions.version);
    const isKnown =
      ifNewerThan?.incarnation === this.#context.options.incarnation &&
      ifNewerThan.version <= versions.version;
    const most = Math.min(max, MAX_SPANS);
    const spans = isKnown ? changes.since(ifNewerThan.version, selection, most) : undefined;
    return spans === undefined ? { selection } : { selection: spanSelection(selection, spans), spans };
  }

  /** Connections whose answers hold what others wait for, and take too long. */
  overdue(holds: 'version' | 'memory'): number[] {
    const { now, options } = this.#context;
    const found: number[] = [];
    for (const { answer, progress, connection } of this.#streams.values()) {
      if (answer.holds === holds && isOverdue(progress, now, holdMs(options.limits))) found.push(connection);
    }
    return found;
  }

  /**
   * If readers hold more versions than they may: the connections that read one of them, if they are readers all and none
   * will soon be done with it; the one that has been read for longest.
   */
  supernumerary(): number[] {
    const { now, state } = this.#context;
    const byMemory = new Map<Float32Array, PullStream[]>();
    for (const stream of this.#streams.values()) {
      const { pin, holds } = stream.answer;
      if (pin === undefined || holds !== 'version') continue;
      const others = byMemory.get(pin.values);
      if (others === undefined) byMemory.set(pin.values, [stream]);
      else others.push(stream);
    }
    const isGuest = ({ answer }: PullStream): boolean => answer.trainer === undefined;
    const read = [...byMemory.values()].filter((all) => all.some(isGuest));
    if (read.length <= state.table.versions.maxGuestVersions) return [];
    const isSlow = (each: PullStream): boolean =>
      isGuest(each) && isOverdue(each.progress, now, MAKE_ROOM_MS);
    const sinceOf = (all: PullStream[]): number => Math.min(...all.map(({ answer }) => answer.since));
    const [longest = []] = read
      .filter((all) => all.every(isSlow))
      .sort((one, other) => sinceOf(one) - sinceOf(other));
    return longest.map(({ connection }) => connection);
  }

  /**
   * Sends the rows: at once, or, if they are many, when they have been read slice by slice between two updates. False if
   * there is no memory for them now.
   */
  sendRows(pull: RowPull): boolean {
    const { state, now } = this.#context;
    const { message, rows } = pull;
    if (!rows.takeAnswer()) return false;
    const words = rows.words();
    const table = state.tables.tables[message.table] as EmbeddingTable;
    const count = words.length / 2;
    const values = this.#buffers.take(count * table.spec.dim);
    const send = (): void => {
      const pin: Pin = { values, version: state.version, minClock: state.clocks.minClock, since: now };
      const release = (): void => {
        rows.release();
        this.#buffers.give(values);
      };
      this.#send(pull, { selection: rangeSelection(values.length), pin, holds: 'memory', release });
    };
    if (count * (table.spec.dim + ROW_COST) <= SLICE_ELEMENTS) {
      table.read(words, 0, count, values);
      send();
      return true;
    }
    this.#later(new JobThen(new RowRead(table, words, values), send));
    return true;
  }

  sendNotModified({ message, connection, session }: DensePull): void {
    const { state } = this.#context;
    this.#context.emit({
      kind: 'send',
      connection,
      message: {
        t: MessageType.pullResult,
        request: message.request,
        version: state.version,
        clock: session.clock,
        minClock: state.clocks.minClock,
        bytes: 0,
        notModified: true,
      },
    });
  }

  /** Whether the asker has the current version already. */
  isCurrent(message: Pull): boolean {
    return this.#isAheadBy(message, 0);
  }

  /** Whether the asker waits for a version that is not there yet. */
  isEarly(message: Pull): boolean {
    return message.wait && this.#isAheadBy(message, (message.versions ?? 1) - 1);
  }

  /** Whether the current version is that of the asker, or at most `count` after it. */
  #isAheadBy({ ifNewerThan }: Pull, count: number): boolean {
    return (
      ifNewerThan !== undefined &&
      ifNewerThan.incarnation === this.#context.options.incarnation &&
      this.#context.state.version <= ifNewerThan.version + count
    );
  }

  /** Nobody wants the answer to request `request` any more; undefined: to any of the connection. */
  cancel(connection: number, request?: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.connection !== connection) continue;
      if (request === undefined || stream.answer.request === request) stream.isCancelled = true;
    }
  }

  /** Answers that are being sent on `connection`. Looks no further if all connections' are fewer than `enough`. */
  countOf(connection: number, enough: number): number {
    if (this.#streams.size < enough) return 0;
    let count = 0;
    for (const stream of this.#streams.values()) if (stream.connection === connection) count++;
    return count;
  }

  /** A worker that is being sent what it asked for is not the one that makes no progress. */
  renewProgress(): void {
    for (const { answer, isCancelled } of this.#streams.values()) {
      const { trainer } = answer;
      if (trainer !== undefined && !isCancelled && !trainer.isComputing)
        trainer.lastProgress = this.#context.now;
    }
  }

  /** Whether stream `id` is an answer to a pull. */
  hasStream(id: number): boolean {
    return this.#streams.has(id);
  }

  /** A stream's bytes are copied or will never be sent: its version is free. */
  onStreamEnded(id: number): void {
    const stream = this.#streams.get(id);
    invariant(stream !== undefined, `stream ${id} ends twice`);
    this.#streams.delete(id);
    stream.answer.release();
    this.#context.isDirty = true;
  }

  #send(
    { session, connection, message }: DensePull | RowPull,
    what: Pick<PullAnswer, 'selection' | 'spans' | 'pin' | 'holds' | 'release'>,
  ): void {
    const { state, options } = this.#context;
    const { selection, spans, pin, holds, release } = what;
    // A long read may end when the connection is gone: what is sent to it goes nowhere.
    const answer: PullAnswer = {
      request: message.request,
      trainer: message.training ? session : undefined,
      clock: session.clock,
      // An older version has the updates below what minClock was then: who keeps it must know.
      minClock: pin?.minClock ?? state.clocks.minClock,
      since: this.#context.now,
      selection,
      spans,
      pin,
      holds,
      release,
    };
    const id = this.#context.nextStream();
    const stream = new PullStream(id, connection, answer, state.table.versions, options.limits.chunkBytes);
    this.#streams.set(id, stream);
    this.#context.emit({ kind: 'stream', connection, stream });
  }

  /** A watcher must not be given what it has. */
  #leastVersion({ ifNewerThan }: Pull): number {
    return ifNewerThan?.incarnation === this.#context.options.incarnation ? ifNewerThan.version + 1 : 0;
  }
}

/** Reads many rows, slice by slice. */
class RowRead implements Job {
  readonly #table: EmbeddingTable;
  readonly #words: Uint32Array;
  readonly #values: Float32Array;
  #at = 0;

  constructor(table: EmbeddingTable, words: Uint32Array, values: Float32Array) {
    this.#table = table;
    this.#words = words;
    this.#values = values;
  }

  run(budget: Budget): boolean {
    const { dim } = this.#table.spec;
    const total = this.#words.length / 2;
    const count = Math.min(total - this.#at, Math.max(1, Math.floor(budget.elements / (dim + ROW_COST))));
    const out = this.#values.subarray(this.#at * dim, (this.#at + count) * dim);
    this.#table.read(this.#words, this.#at, this.#at + count, out);
    this.#at += count;
    budget.elements -= count * (dim + ROW_COST);
    return this.#at === total;
  }
}
