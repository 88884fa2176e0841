/**
 * The parameters of a training loop's next steps: one pull for each, each into arrays of its own, which are
 * used again. Without a pipeline there is one set of arrays, and the pull of the next step begins when this
 * step is over; with one of k steps, k pulls are under way or answered while a step is computed. The rows of sparse
 * tables that a step names are asked for with them, once its batch is known.
 */
import { PsError } from '../../core/base/errors.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import { oldestOf } from '../../core/worker/computedFrom.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import { isPromiseLike } from './abort.js';
import type { BatchItem } from './batchSource.js';
import type { Rows } from './rows.js';
import { RowsAhead, type RowsOfBatch, type StepRows } from './rowsAhead.js';
import type { Call, WorkerHost } from './workerHost.js';

/** What is pulled, and how far ahead. */
export interface PullsAheadOptions<B> {
  readonly entries: readonly CatalogueEntry[];
  /** Steps whose parameters may be asked for while another one is computed. */
  readonly pipeline: number;
  readonly timeoutMs: number;
  /** The rows that a batch needs; undefined: none. */
  readonly rowsOf: RowsOfBatch<B> | undefined;
}

interface PullUnderWay {
  readonly arrays: readonly Float32Array[];
  readonly call: Call<PullAnswer>;
  isAnswered: boolean;
}

/** Pulls for the steps of one loop, in order. */
export class PullsAhead<B> {
  readonly #host: WorkerHost;
  readonly #options: PullsAheadOptions<B>;
  readonly #rowsAhead: RowsAhead<B>;
  readonly #buffers = new Set<ArrayBufferLike>();
  readonly #free: (readonly Float32Array[])[] = [];
  #pulls: PullUnderWay[] = [];
  #current: readonly Float32Array[] | undefined;
  #pulled: PulledFrom | undefined;
  #rows: Readonly<Record<string, Rows>> | undefined;
  /** Counts how often what was asked for became void: the server lost its state, or refused a tick. */
  #life = 0;
  #isOver = false;

  constructor(host: WorkerHost, options: PullsAheadOptions<B>) {
    this.#host = host;
    this.#options = options;
    this.#rowsAhead = new RowsAhead(host, options.rowsOf, options.timeoutMs);
  }

  /** The parameters of the present step, in catalogue order. REQUIRES: `take` has resolved, and no `release` since. */
  get arrays(): readonly Float32Array[] {
    return this.#current as readonly Float32Array[];
  }

  /** The rows of the present step, by table; undefined: steps name none. */
  get rows(): Readonly<Record<string, Rows>> | undefined {
    return this.#rows;
  }

  /** What `arrays` and `rows` are. */
  get pulled(): PulledFrom | undefined {
    return this.#pulled;
  }

  /**
   * Asks for the parameters of the steps that come, of which there are at most `steps`, and for the rows of `next`,
   * the batch of the next one.
   */
  ask(steps: number, next: BatchItem<B> & { readonly done: false }): void {
    const wanted = Math.min(steps, this.#options.pipeline + 1);
    while (this.#pulls.length < wanted) this.#start(this.#pulls.length);
    if (!isPromiseLike(next.batch)) this.#rowsAhead.ask(next, next.batch);
  }

  /**
   * The parameters of the next step become `arrays`, the rows of its `batch` `rows`. Returns their bytes. `item` and
   * `steps` as for `ask`.
   */
  async take(item: BatchItem<B> & { readonly done: false }, batch: B, steps: number): Promise<number> {
    for (;;) {
      const life = this.#life;
      this.ask(steps, item);
      try {
        const rows = await this.#rowsAhead.take(item, batch);
        const { call, arrays } = this.#pulls[0] ?? this.#start(0);
        const answer = await call.answer;
        // All of a step is of one life of the server.
        if (life === this.#life) return this.#use(arrays, answer, rows);
      } catch (error) {
        if (life === this.#life || this.#isOver) throw error;
      }
    }
  }

  /** A tick was refused: what is under way is for a clock that comes later than was thought. `ask` asks anew. */
  giveUp(): void {
    this.#life++;
    this.#cancel(new PsError('PS_ABORTED', 'the pull is asked anew'));
    this.#pulls = this.#pulls.filter(({ isAnswered }) => isAnswered);
  }

  #use(arrays: readonly Float32Array[], answer: PullAnswer, rows: StepRows): number {
    this.#pulls.shift();
    this.#current = arrays;
    this.#pulled = oldestOf([answer.pulled, ...rows.pulled]);
    this.#rows = this.#options.rowsOf && rows.rows;
    return answer.bytes + rows.bytes;
  }

  /** The present step needs `arrays` no more. */
  release(): void {
    if (this.#current !== undefined) this.#free.push(this.#current);
    this.#current = undefined;
  }

  /** Whether `array` stands where a pull may write. */
  holds(array: Float32Array): boolean {
    return this.#buffers.has(array.buffer);
  }

  /** The server lost what was pulled; a pull under way will bring what there is now. */
  forgetAnswered(): void {
    this.#life++;
    this.#rowsAhead.forget();
    for (const { isAnswered, arrays } of this.#pulls) if (isAnswered) this.#free.push(arrays);
    this.#pulls = this.#pulls.filter(({ isAnswered }) => !isAnswered);
  }

  /** Gives up every pull under way, which reject with `error`: no others will be asked for. */
  cancel(error: PsError): void {
    this.#isOver = true;
    this.#cancel(error);
  }

  #cancel(error: PsError): void {
    this.#rowsAhead.cancel(error);
    for (const { call } of this.#pulls) call.cancel(error);
  }

  /** `ahead`: how many steps lie between the next one and the one that it is for. */
  #start(ahead: number): PullUnderWay {
    const arrays = this.#free.pop() ?? this.#newArrays();
    const call = this.#host.call<PullAnswer>({
      kind: 'pull',
      tensors: undefined,
      into: arrays,
      training: true,
      ahead,
      ifNewerThan: undefined,
      wait: false,
      consistent: true,
      timeoutMs: this.#options.timeoutMs,
      // Training outlasts a server that is away for longer than a pull may wait for others.
      countsOffline: false,
    });
    const pull: PullUnderWay = { arrays, call, isAnswered: false };
    const onAnswer = () => {
      pull.isAnswered = true;
    };
    call.answer.then(onAnswer, () => {});
    this.#pulls.push(pull);
    return pull;
  }

  /** In one piece of memory, so that a chunk of the model is one copy, or none. */
  #newArrays(): readonly Float32Array[] {
    const { entries } = this.#options;
    const all = new Float32Array(entries.reduce((sum, entry) => sum + entry.length, 0));
    this.#buffers.add(all.buffer);
    return entries.map((entry) => all.subarray(entry.offset, entry.offset + entry.length));
  }
}
