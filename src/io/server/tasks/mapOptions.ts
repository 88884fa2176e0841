/** What `tasks.map` takes and gives: options with their checks, what became of a task, how far all are. */
import { invalidArgument, type PsError } from '../../../core/base/errors.js';
import { checkOptionObject, integer } from '../../../core/base/optionObject.js';

/** How tasks are tried. */
export interface MapOptions {
  /** Results in the order of the inputs. Default false: as they come. */
  readonly inOrder?: boolean;
  /** How often a task that failed is tried again. Default 3. */
  readonly retries?: number;
  /** How long one attempt may take; Infinity: as long as it likes. Default 60,000. */
  readonly timeoutMs?: number;
  /** Called whenever a task is done, or has failed for good. What it throws ends the iteration with that error. */
  readonly onProgress?: (progress: MapProgress) => void;
  /** Its abort ends the iteration with `PS_ABORTED`; tasks under way are not wanted any more. */
  readonly signal?: AbortSignal;
}

/** What became of one task: a result, or the error of a task that failed as often as it may. */
export type TaskOutcome<I, R> =
  | {
      readonly index: number;
      readonly input: I;
      readonly result: R;
      readonly worker: string;
      readonly error?: undefined;
    }
  | {
      readonly index: number;
      readonly input: I;
      readonly error: PsError;
      readonly attempts: number;
      readonly result?: undefined;
    };

/** How far a `map` is. */
export interface MapProgress {
  /** Inputs that were read. */
  readonly read: number;
  /** Tasks that are done, and that have failed for good. */
  readonly done: number;
  readonly failed: number;
  /** Whether all inputs were read. */
  readonly isWhole: boolean;
}

/** Inputs: an iterable or an async iterable. */
export type TaskInputs<I> = Iterable<I> | AsyncIterable<I>;

/** Options after their checks. */
export interface CheckedMapOptions {
  readonly inOrder: boolean;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly onProgress: MapOptions['onProgress'];
  readonly signal: AbortSignal | undefined;
}

/** Checks options. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkMapOptions(options: MapOptions): CheckedMapOptions {
  const keys = ['inOrder', 'retries', 'timeoutMs', 'onProgress', 'signal'] as const;
  const given = checkOptionObject('map', options, keys);
  const { inOrder = false, retries = 3, timeoutMs = 60_000, onProgress, signal } = given;
  if (typeof inOrder !== 'boolean') throw invalidArgument('map.inOrder', inOrder, 'true or false');
  integer('map.retries', retries, 0);
  if (timeoutMs !== Number.POSITIVE_INFINITY) integer('map.timeoutMs', timeoutMs, 1);
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidArgument('map.onProgress', onProgress, 'a function');
  }
  return { inOrder, retries, timeoutMs, onProgress, signal };
}
