/**
 * What a simulated reader does: it pulls again and again, or watches (each pull waits for a newer version),
 * and never stands in anyone's way.
 */
import { PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import type { SimWorker } from '../cluster/simWorker.js';

/** What a reader is told to do, and who is told what it read. */
export interface ReaderOwner {
  /** Each pull waits for a version newer than the last. */
  readonly isWatching: boolean;
  /** Watching: it asks for what has changed, into what it has. */
  readonly keepsCopy: boolean;
  /** Its pulls need not be of one version. */
  readonly isConsistent: boolean;
  readonly pullTimeoutMs: number;
  /** Between two pulls. */
  pauseMs(): number;
  onPulled(answer: PullAnswer, newerThan: number | undefined): void;
  onEnd(error: PsError | undefined): void;
}

/** A loop of pulls in one process. */
export class ReaderProgram {
  readonly #worker: SimWorker;
  readonly #owner: ReaderOwner;
  #version: number | undefined;
  /** What its copy is. */
  #pulled: PulledFrom = [];
  #copy: readonly Float32Array[] | undefined;
  #request: number | undefined;
  #isStopped = false;

  constructor(worker: SimWorker, owner: ReaderOwner) {
    this.#worker = worker;
    this.#owner = owner;
  }

  start(): void {
    this.#worker.call({ kind: 'connect' }, ({ error }) => {
      if (error === undefined) this.#pull();
      else if (error.retryable && !this.#isStopped) this.start();
      else this.#owner.onEnd(error);
    });
  }

  /** Ends it after the pull that is under way, or without its answer. */
  stop(): void {
    this.#isStopped = true;
    if (this.#request !== undefined) this.#worker.cancel(this.#request, new PsError('PS_ABORTED', 'enough'));
  }

  #pull(): void {
    const { isWatching, keepsCopy, isConsistent, pullTimeoutMs } = this.#owner;
    const ifNewerThan = isWatching ? this.#version : undefined;
    const copyOf = isWatching && keepsCopy ? this.#pulled : undefined;
    this.#pulled = [];
    this.#request = this.#worker.call(
      {
        kind: 'pull',
        tensors: undefined,
        into: copyOf === undefined ? undefined : this.#destination(),
        training: false,
        ifNewerThan: copyOf === undefined ? ifNewerThan : undefined,
        copyOf,
        wait: ifNewerThan !== undefined,
        consistent: isConsistent,
        timeoutMs: pullTimeoutMs,
      },
      ({ value, error }) => {
        this.#request = undefined;
        if (error === undefined) {
          const answer = value as PullAnswer;
          this.#version = answer.version;
          this.#pulled = answer.arrays === undefined ? (copyOf ?? []) : answer.pulled;
          this.#owner.onPulled(answer, ifNewerThan);
        }
        if (this.#isStopped || this.#worker.core.hasEnded) this.#end();
        else this.#worker.process.after(this.#owner.pauseMs(), () => this.#next());
      },
    );
  }

  #destination(): readonly Float32Array[] {
    const { entries } = this.#worker.core.catalogue as Catalogue;
    this.#copy ??= entries.map(({ length }) => new Float32Array(length));
    return this.#copy;
  }

  #next(): void {
    if (this.#isStopped) this.#end();
    else this.#pull();
  }

  #end(): void {
    if (this.#worker.core.hasEnded) this.#owner.onEnd(undefined);
    else this.#worker.call({ kind: 'close', reason: 'done' }, () => this.#owner.onEnd(undefined));
  }
}
