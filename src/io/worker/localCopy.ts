/**
 * A copy of a model, or of parts of it, in the memory of whoever serves from it: read without asking anybody, kept fresh
 * by what the server says has changed. When the server is away the copy serves on, and says how old it is.
 *
 *     starting ──all of it is here──▶ fresh ◀──▶ ageing (the server is not heard)
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import { monotonicNow } from '../time.js';
import { quiet, sleep } from './abort.js';
import { RowCopies, RowCopy } from './rowCopy.js';
import type { WatchOptions } from './watch.js';
import type { RowChanges, WatchRowsOptions } from './watchRows.js';

/** What to copy, and how fresh it is to be. */
export interface LocalCopyOptions {
  /** Names of parameters. Default all. */
  readonly parameters?: readonly string[];
  /** Names of sparse tables, whose rows are copied whole. Default none. */
  readonly tables?: readonly string[];
  /** How far behind the server the copy is to be at most, besides the way of an answer. Default 100. */
  readonly withinMs?: number;
}

/** The worker that a copy asks; `T`: its tensors, by name. */
export interface CopiedFrom<T = Readonly<Record<string, Tensor>>> {
  readonly readOnly: boolean;
  watch(
    names: readonly string[] | undefined,
    options: WatchOptions,
  ): AsyncGenerator<{ readonly tensors: T; readonly version: number }, void, undefined>;
  watchRows(table: string, options: WatchRowsOptions): AsyncGenerator<RowChanges, void, undefined>;
}

/** A part of the copy: the dense parameters, or a table. */
interface Part {
  /** When the server was last known to have nothing newer; undefined: never. */
  freshAt: number | undefined;
  version: number;
}

/** A local copy of a model. */
export class LocalCopy<T = Readonly<Record<string, Tensor>>> implements AsyncDisposable {
  /** Resolves when all of it is here for the first time; rejects if it can't be had, or is closed before. */
  readonly ready: Promise<void>;
  readonly #worker: CopiedFrom<T>;
  readonly #withinMs: number;
  readonly #end = new AbortController();
  readonly #parts: Part[] = [];
  readonly #tables = new Map<string, RowCopies>();
  readonly #running: Promise<void>;
  #tensors = {} as Readonly<Partial<T>>;
  #becomeReady: () => void = () => {};
  #failure: unknown;

  /**
   * Begins to copy. `worker`: one that is `readOnly`; it is not closed with the copy. Throws `PS_INVALID_ARGUMENT`.
   */
  constructor(worker: CopiedFrom<T>, options: LocalCopyOptions = {}) {
    const { parameters, tables = [], withinMs = 100 } = options;
    if (worker?.readOnly !== true) throw invalidArgument('worker', worker, 'a worker that is readOnly');
    if (!(typeof withinMs === 'number' && withinMs >= 1)) {
      throw invalidArgument('withinMs', withinMs, 'a number from 1');
    }
    this.#worker = worker;
    this.#withinMs = withinMs;
    const loops: Promise<void>[] = [];
    if (parameters === undefined || parameters.length > 0) {
      loops.push(this.#keep((part) => this.#copyTensors(part, parameters)));
    }
    for (const table of tables) loops.push(this.#keep((part) => this.#copyTable(part, table)));
    const ended = Promise.all(loops).then(() => undefined);
    this.ready = quiet(
      new Promise<void>((resolve, reject) => {
        this.#becomeReady = resolve;
        ended.then(() => reject(new PsError('PS_CLOSED', 'the copy has ended')), reject);
      }),
    );
    this.#running = ended.catch((error: unknown) => {
      this.#failure = error;
    });
    if (loops.length === 0) this.#becomeReady();
  }

  /** The parameters that are copied, by name; none before `ready`. Replaced, never changed, when there are newer ones. */
  get tensors(): Readonly<Partial<T>> {
    return this.#tensors;
  }

  /** Updates that the server had applied, to the oldest part. */
  get version(): number {
    return Math.min(...this.#parts.map(({ version }) => version));
  }

  /** Milliseconds since the server was last known to have nothing newer; Infinity before `ready`. */
  get ageMs(): number {
    const freshAt = Math.min(...this.#parts.map((part) => part.freshAt ?? Number.NEGATIVE_INFINITY));
    return Math.max(0, monotonicNow() - freshAt);
  }

  /** What ended the copy; undefined while it is kept fresh, or after `close`. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The rows of a table that have been updated; `get(id)` is a view of one. Others have their first values. */
  rows(table: string): RowCopies {
    const copy = this.#tables.get(table);
    if (copy !== undefined) return copy;
    throw new PsError('PS_UNKNOWN_TENSOR', `there is no copy of a table "${table}" yet`, {
      details: { tensor: table },
    });
  }

  /** Keeps it fresh no more; what is there can be read on. Never rejects. */
  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Copies a part until the end; again after what passes, such as a server that is not there yet. */
  async #keep(copy: (part: Part) => Promise<void>): Promise<void> {
    const part: Part = { freshAt: undefined, version: 0 };
    this.#parts.push(part);
    const { signal } = this.#end;
    for (let isOver = false; !isOver && !signal.aborted; ) {
      try {
        await copy(part);
        isOver = true;
      } catch (error) {
        if (!(error instanceof PsError && error.retryable)) throw error;
        await sleep(this.#withinMs, signal).catch(() => {});
      }
    }
  }

  #isFresh(part: Part, freshAt: number): void {
    part.freshAt = freshAt;
    if (this.#parts.every(({ freshAt }) => freshAt !== undefined)) this.#becomeReady();
  }

  /** Only what has changed is replaced. */
  async #copyTensors(part: Part, names: readonly string[] | undefined): Promise<void> {
    const options = { withinMs: this.#withinMs, signal: this.#end.signal };
    for await (const { tensors, version } of this.#worker.watch(names, options)) {
      this.#tensors = tensors;
      part.version = version;
      this.#isFresh(part, monotonicNow());
    }
  }

  /** A copy that has to begin anew is served until the new one is complete. */
  async #copyTable(part: Part, table: string): Promise<void> {
    const options = { withinMs: this.#withinMs, signal: this.#end.signal };
    // For each shard: its rows as they come, its rows as they are served, and how fresh those are.
    const coming: RowCopy[] = [];
    const served: RowCopy[] = [];
    const fresh: Part[] = [];
    let isOther = false;
    for await (const { shard, shards, ...changes } of this.#worker.watchRows(table, options)) {
      if (changes.isWhole) coming[shard] = new RowCopy(changes.dim);
      const copy = coming[shard] as RowCopy;
      copy.set(changes.ids, changes.data);
      copy.delete(changes.gone);
      if (!changes.isComplete) continue;
      fresh[shard] = { freshAt: monotonicNow(), version: changes.version };
      isOther ||= served[shard] !== copy;
      served[shard] = copy;
      const parts = Object.values(fresh);
      if (parts.length < shards) continue;
      if (isOther) this.#tables.set(table, new RowCopies(changes.dim, Object.values(served)));
      isOther = false;
      part.version = Math.min(...parts.map(({ version }) => version));
      this.#isFresh(part, Math.min(...parts.map(({ freshAt }) => freshAt as number)));
    }
  }
}
