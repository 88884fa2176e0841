/** A training loop from the options of a run and those of its worker, checked. */
import { invalidArgument } from '../../core/base/errors.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { Intermission } from './intermission.js';
import { sourceOf } from './sourceOf.js';
import { StepLoop } from './stepLoop.js';
import type { RunOptions } from './training.js';
import type { StepEvent } from './workerEvents.js';
import type { WorkerHost } from './workerHost.js';
import type { CheckedWorkerOptions } from './workerOptions.js';

/** What a loop is made with, beside the options. */
export interface LoopParts {
  readonly host: WorkerHost;
  readonly entries: readonly CatalogueEntry[];
  readonly intermission: Intermission;
  readonly onStep: (event: StepEvent) => void;
}

/** Throws `PS_INVALID_ARGUMENT` by the option's name. */
export function newLoop<B>(
  { host, entries, intermission, onStep }: LoopParts,
  worker: CheckedWorkerOptions,
  options: RunOptions<B>,
): StepLoop<B> {
  const { steps = Number.POSITIVE_INFINITY, signal, rows } = options;
  if (typeof steps !== 'number' || !(steps >= 0)) throw invalidArgument('steps', steps, 'a number from 0');
  return new StepLoop<B>(host, entries, {
    ...worker,
    source: intermission.around(sourceOf(host, options, worker.limits.maxTaskBytes)),
    maxSteps: steps,
    rowsOf: rows,
    signal,
    onStep,
  });
}
