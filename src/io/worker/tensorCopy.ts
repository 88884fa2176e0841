/**
 * A copy of tensors that is brought up to date by what has changed. Its own memory is never shown: while an answer comes
 * it is a mixture of two versions. What callers see are copies of those tensors that are different from before.
 */
import type { Catalogue, CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import type { PullManner } from './calls.js';
import { selectNames, tensorsOf } from './parameters.js';
import type { WorkerHost } from './workerHost.js';

/** What the copy is now. */
export interface TensorVersion {
  /** By name; those that have not changed are the objects of the version before. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Names of those that have. */
  readonly changed: readonly string[];
  /** Whether there is a newer version than before, whatever has changed in it. */
  readonly isNewer: boolean;
  readonly version: number;
  readonly clock: number;
}

/** Some tensors of a server or a group. */
export class TensorCopy {
  readonly #host: WorkerHost;
  readonly #entries: readonly CatalogueEntry[];
  readonly #indices: readonly number[] | undefined;
  /** One behind the other. */
  readonly #arrays: Float32Array[] = [];
  /** What they were pulled as; empty: they are of no version. */
  #pulled: PulledFrom = [];
  #tensors: Record<string, Tensor> = {};

  /** Throws `PS_UNKNOWN_TENSOR`, `PS_INVALID_ARGUMENT`. */
  constructor(host: WorkerHost, catalogue: Catalogue, names: readonly string[] | undefined) {
    const { entries, tensors } = selectNames(catalogue, names);
    this.#host = host;
    this.#entries = entries;
    this.#indices = tensors;
    this.#arrays = allocate(entries);
  }

  /** Asks for what is newer; with `manner.wait`, waits for it. Rejects as a pull does; then it begins anew. One at a time. */
  async refresh(manner: PullManner, signal: AbortSignal): Promise<TensorVersion> {
    const copyOf = this.#pulled;
    // Whatever becomes of this one.
    this.#pulled = [];
    const ask = { kind: 'pull', tensors: this.#indices, into: this.#arrays, copyOf } as const;
    const command = { ...ask, ifNewerThan: undefined, consistent: true, ...manner };
    const { arrays, changed, version, clock, pulled } = await this.#host.call<PullAnswer>(command, signal)
      .answer;
    this.#pulled = arrays === undefined ? copyOf : pulled;
    const all = this.#entries.map((_, i) => i);
    const positions = arrays === undefined ? [] : (changed ?? all);
    const entries = positions.map((i) => this.#entries[i] as CatalogueEntry);
    const fresh = allocate(entries);
    for (const [k, i] of positions.entries()) fresh[k]?.set(this.#arrays[i] as Float32Array);
    this.#tensors = { ...this.#tensors, ...tensorsOf(entries, fresh) };
    return {
      tensors: this.#tensors,
      changed: entries.map(({ name }) => name),
      isNewer: arrays !== undefined,
      version,
      clock,
    };
  }
}

/** An array for each of `entries`, one behind the other. */
function allocate(entries: readonly CatalogueEntry[]): Float32Array[] {
  const all = new Float32Array(entries.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  return entries.map(({ length }) => {
    at += length;
    return all.subarray(at - length, at);
  });
}
