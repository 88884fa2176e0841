/**
 * The pushes of a training loop that are not answered. Without a pipeline a step ends with its answer; with
 * one of k steps, k pushes may be on their way while the next step is computed. Then they are sent from
 * copies, in memory that is used again: the caller may compute every gradient into the same arrays.
 */
import type { PsError } from '../../core/base/errors.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { ClockAnswer, PushAnswer, PushCommand } from '../../core/worker/events.js';
import type { CheckedGradients } from '../../core/worker/gradients.js';
import type { Call, WorkerHost } from './workerHost.js';

/** What a step's end is answered with: one without gradients only ticks. */
export type StepAnswer = PushAnswer | ClockAnswer;

/** All of a push but its gradients. */
export type PushTerms = Pick<PushCommand, 'metrics' | 'examples' | 'computedFrom' | 'data'>;

interface PushUnderWay {
  readonly call: Call<StepAnswer>;
  /** Resolves when the call has ended, however. */
  readonly ended: Promise<void>;
}

/** The pushes of one loop, in order. */
export class PushesBehind {
  readonly #host: WorkerHost;
  readonly #entries: readonly CatalogueEntry[];
  readonly #pipeline: number;
  readonly #pushes = new Set<PushUnderWay>();
  readonly #freeCopies: Float32Array[] = [];

  /** `pipeline`: how many pushes may be unanswered while a step is computed. */
  constructor(host: WorkerHost, entries: readonly CatalogueEntry[], pipeline: number) {
    this.#host = host;
    this.#entries = entries;
    this.#pipeline = pipeline;
  }

  /** How many are not answered. */
  get count(): number {
    return this.#pushes.size;
  }

  /** Pushes `gradients` and ticks; without any it only ticks. `mustCopy`: whether an array will change before the answer. */
  send(
    gradients: CheckedGradients | undefined,
    terms: PushTerms,
    mustCopy: (array: Float32Array) => boolean,
  ): Call<StepAnswer> {
    if (gradients === undefined) return this.#follow(this.#host.call({ kind: 'clock', operation: 'tick' }));
    const { tensors, values, rows } = gradients;
    const push = { kind: 'push', tensors, rows, tick: true, ...terms } as const;
    if (this.#pipeline === 0) {
      const kept = values.map((each) => (mustCopy(each) ? each.slice() : each));
      return this.#follow(this.#host.call({ ...push, values: kept }));
    }
    const copy = this.#freeCopies.pop() ?? this.#newCopy();
    const dense = tensors?.length ?? this.#entries.length;
    const copied = values.map((each, i) => {
      if (i >= dense) return each.slice();
      const { offset } = this.#entries[tensors?.[i] ?? i] as CatalogueEntry;
      const target = copy.subarray(offset, offset + each.length);
      target.set(each);
      return target;
    });
    return this.#follow(this.#host.call({ ...push, values: copied }), copy);
  }

  /** Resolves when the next step may begin: no more are unanswered than the pipeline has steps. */
  async room(): Promise<void> {
    await this.#untilAtMost(this.#pipeline);
  }

  /** Resolves when all are answered. */
  async none(): Promise<void> {
    await this.#untilAtMost(0);
  }

  /** Gives up waiting for them. */
  cancel(error: PsError): void {
    for (const { call } of this.#pushes) call.cancel(error);
  }

  #follow(call: Call<StepAnswer>, copy?: Float32Array): Call<StepAnswer> {
    const onEnded = (): void => {
      this.#pushes.delete(push);
      if (copy !== undefined) this.#freeCopies.push(copy);
    };
    const push: PushUnderWay = { call, ended: call.answer.then(onEnded, onEnded) };
    this.#pushes.add(push);
    return call;
  }

  async #untilAtMost(count: number): Promise<void> {
    for (const { ended } of this.#pushes) {
      if (this.#pushes.size <= count) return;
      await ended;
    }
  }

  #newCopy(): Float32Array {
    return new Float32Array(this.#entries.reduce((sum, entry) => sum + entry.length, 0));
  }
}
