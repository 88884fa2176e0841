/**
 * The parameters of a training loop's next steps: one pull for each, each into arrays of its own, which are
 * used again. Without a pipeline there is one set of arrays, and the pull of the next step begins when this
 * step is over; with one of k steps, k pulls are under way or answered while a step is computed.
 */
import type { PsError } from '../../core/base/errors.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import type { Call, WorkerHost } from './workerHost.js';

/** What is pulled, and how far ahead. */
export interface PullsAheadOptions {
  readonly entries: readonly CatalogueEntry[];
  /** Steps whose parameters may be asked for while another one is computed. */
  readonly pipeline: number;
  readonly timeoutMs: number;
}

interface PullUnderWay {
  readonly arrays: readonly Float32Array[];
  readonly call: Call<PullAnswer>;
  isAnswered: boolean;
}

/** Pulls for the steps of one loop, in order. */
export class PullsAhead {
  readonly #host: WorkerHost;
  readonly #options: PullsAheadOptions;
  readonly #buffers = new Set<ArrayBufferLike>();
  readonly #free: (readonly Float32Array[])[] = [];
  #pulls: PullUnderWay[] = [];
  #current: readonly Float32Array[] | undefined;
  #pulled: PulledFrom | undefined;

  constructor(host: WorkerHost, options: PullsAheadOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** The parameters of the present step, in catalogue order. REQUIRES: `take` has resolved, and no `release` since. */
  get arrays(): readonly Float32Array[] {
    return this.#current as readonly Float32Array[];
  }

  /** What `arrays` are. */
  get pulled(): PulledFrom | undefined {
    return this.#pulled;
  }

  /** Asks for the parameters of the steps that come, of which there are at most `steps`. */
  ask(steps: number): void {
    const wanted = Math.min(steps, this.#options.pipeline + 1);
    while (this.#pulls.length < wanted) this.#start(this.#pulls.length);
  }

  /** The parameters of the next step become `arrays`. REQUIRES: they were asked for. */
  async take(): Promise<PullAnswer> {
    const { call, arrays } = this.#pulls[0] as PullUnderWay;
    const answer = await call.answer;
    this.#pulls.shift();
    this.#current = arrays;
    this.#pulled = answer.pulled;
    return answer;
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
    for (const { isAnswered, arrays } of this.#pulls) if (isAnswered) this.#free.push(arrays);
    this.#pulls = this.#pulls.filter(({ isAnswered }) => !isAnswered);
  }

  /** Gives up every pull under way, which reject with `error`. */
  cancel(error: PsError): void {
    for (const { call } of this.#pulls) call.cancel(error);
  }

  /** `ahead`: how many steps lie between the next one and the one that it is for. */
  #start(ahead: number): void {
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
    });
    const pull: PullUnderWay = { arrays, call, isAnswered: false };
    const onAnswer = () => {
      pull.isAnswered = true;
    };
    call.answer.then(onAnswer, () => {});
    this.#pulls.push(pull);
  }

  /** In one piece of memory, so that a chunk of the model is one copy, or none. */
  #newArrays(): readonly Float32Array[] {
    const { entries } = this.#options;
    const all = new Float32Array(entries.reduce((sum, entry) => sum + entry.length, 0));
    this.#buffers.add(all.buffer);
    return entries.map((entry) => all.subarray(entry.offset, entry.offset + entry.length));
  }
}
