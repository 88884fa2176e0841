/**
 * The answer to one pull, as messages: PullResult with all bytes if they are one chunk, else PullChunk…. The bytes are
 * views of a pinned version or of rows that were copied, or, for a pull that does not ask for one cut, of whatever is
 * current.
 */
import { MessageType, type PullResult } from '../protocol/messages.js';
import { gather } from '../protocol/modelStream.js';
import type { OutgoingPart, OutgoingStream } from '../protocol/outgoingStream.js';
import type { Pin, VersionStore } from '../table/versionStore.js';
import type { Selection } from '../tensor/catalogue.js';
import type { Progress } from './contention.js';
import type { Session } from './session.js';

/** What a pull stream sends. */
export interface PullAnswer {
  readonly request: number;
  /** Who trains on it; undefined: nobody does. */
  readonly trainer: Session | undefined;
  readonly clock: number;
  readonly minClock: number;
  readonly selection: Selection;
  /** Of what was asked for, where the selection stands; undefined: it is all of it. */
  readonly spans?: readonly number[] | undefined;
  /** The version that is sent; undefined: the current one at each chunk. */
  readonly pin: Pin | undefined;
  /** What it holds that others may wait for. */
  readonly holds: 'version' | 'memory' | 'nothing';
  /** When it began. */
  readonly since: number;
  /** Called when the bytes are copied, or will never be sent. */
  readonly release: () => void;
}

/** Of what has been handed over, so much may not have been taken by the other end. */
const UNTAKEN_BYTES = 2_097_152;

/** One pull's parameters on their way out. */
export class PullStream implements OutgoingStream {
  readonly id: number;
  readonly connection: number;
  readonly answer: PullAnswer;
  /** Nothing more is sent. */
  isCancelled = false;
  readonly #versions: VersionStore;
  readonly #chunkElements: number;
  #at = 0;
  #isBegun = false;

  constructor(
    id: number,
    connection: number,
    answer: PullAnswer,
    versions: VersionStore,
    chunkBytes: number,
  ) {
    this.id = id;
    this.connection = connection;
    this.answer = answer;
    this.#versions = versions;
    this.#chunkElements = Math.floor(chunkBytes / 4);
  }

  /** How far it is, at least. */
  get progress(): Progress {
    const totalBytes = this.answer.selection.length * 4;
    const doneBytes = Math.max(0, this.#at * 4 - Math.min(UNTAKEN_BYTES, totalBytes / 2));
    return { since: this.answer.since, doneBytes, totalBytes };
  }

  next(): OutgoingPart | undefined {
    const { selection, pin, request } = this.answer;
    if (this.isCancelled || (this.#isBegun && this.#at >= selection.length)) return undefined;
    const begin = this.#at;
    // Of several chunks the first message brings none: then every payload has its place when it comes.
    const isAlone = selection.length <= this.#chunkElements;
    const end = this.#isBegun || isAlone ? Math.min(selection.length, begin + this.#chunkElements) : begin;
    const values = pin?.values ?? this.#versions.current;
    const version = pin?.version ?? this.#versions.version;
    const bytes = gather(values, selection, begin, end, () => new Float32Array(end - begin));
    // What nobody holds changes as soon as this turn ends.
    const payload = pin === undefined ? bytes.slice() : bytes;
    this.#at = end;
    if (this.#isBegun) {
      return { message: { t: MessageType.pullChunk, request, offset: begin * 4, version }, payload };
    }
    this.#isBegun = true;
    return { message: this.#result(version), payload };
  }

  #result(version: number): PullResult {
    const { request, clock, minClock, selection, spans } = this.answer;
    const bytes = selection.length * 4;
    return { t: MessageType.pullResult, request, version, clock, minClock, bytes, notModified: false, spans };
  }
}
