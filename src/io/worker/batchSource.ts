/** The batches of a run, one by one, whatever they come from. Nothing is read ahead of its step. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { DataRange } from '../../core/tasks/dataProgress.js';
import type { PushAnswer } from '../../core/worker/events.js';
import { isPromiseLike } from './abort.js';

/** Where batches come from: an iterable, or a function of the step, which counts from 0. */
export type BatchData<B> = Iterable<B> | AsyncIterable<B> | ((step: number) => B | PromiseLike<B>);

/** The next batch, or that there is none. */
export type BatchItem<B> =
  | { readonly done: true }
  | { readonly done: false; readonly batch: B | PromiseLike<B>; readonly part?: BatchPart };

/** What a batch is a part of, where the server counts its examples. */
export interface BatchPart {
  /** The examples that a push of the batch covers. Throws `PS_INVALID_ARGUMENT` if there are not so many. */
  range(examples: number | undefined): DataRange;
  /** What became of the push; undefined: it is lost. Returns whether what was read behind it still holds. */
  settled(answer: PushAnswer | undefined): boolean;
}

/** The batches of one run. */
export interface BatchSource<B> {
  next(step: number): BatchItem<B> | Promise<BatchItem<B>>;
  /** No more are wanted. */
  close(): void;
  /** The server lost its state. */
  onRollback?(): void;
  /** Whoever waits for a batch is out of the clock table. */
  readonly waitsOutside?: boolean;
}

/** What `item` is a part of; undefined: its batch is the caller's. */
export function partOf(item: BatchItem<unknown> | undefined): BatchPart | undefined {
  return item?.done === false ? item.part : undefined;
}

/** The examples that a push of `part` covers. Throws `PS_INVALID_ARGUMENT`. */
export function rangeOf(
  part: BatchPart,
  gradients: object | undefined,
  { examples }: { readonly examples: number | undefined },
): DataRange {
  if (gradients !== undefined) return part.range(examples);
  const text = 'a step on a data shard must push a gradient: its examples count with it';
  throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'dataShards' } });
}

/** The number of examples in a batch that has a length. */
export function lengthOf(batch: unknown): number | undefined {
  if (batch === null || typeof batch !== 'object' || !('length' in batch)) return undefined;
  const { length } = batch;
  return typeof length === 'number' && Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}

/** The batches of `data`; without data there are as many as wanted, all undefined. Throws `PS_INVALID_ARGUMENT`. */
export function batchSource<B>(data: BatchData<B> | undefined): BatchSource<B> {
  if (data === undefined) return { next: () => ({ done: false, batch: undefined as B }), close: () => {} };
  if (typeof data === 'function') {
    return { next: (step) => ({ done: false, batch: data(step) }), close: () => {} };
  }
  return iteratorSource(iteratorOf('data', data));
}

/** The iterator of `data`, which is given as `option`. Throws `PS_INVALID_ARGUMENT`. */
export function iteratorOf<B>(
  option: string,
  data: Iterable<B> | AsyncIterable<B>,
): Iterator<B> | AsyncIterator<B> {
  if (typeof data === 'object' && data !== null) {
    if (Symbol.asyncIterator in data) return data[Symbol.asyncIterator]();
    if (Symbol.iterator in data) return data[Symbol.iterator]();
  }
  throw invalidArgument(
    option,
    data,
    `an iterable or an async iterable${option === 'data' ? ', or a function of the step' : ' of batches'}`,
  );
}

function iteratorSource<B>(iterator: Iterator<B> | AsyncIterator<B>): BatchSource<B> {
  let isOver = false;
  const take = (result: IteratorResult<B>): BatchItem<B> => {
    if (result.done === true) isOver = true;
    return result.done === true ? { done: true } : { done: false, batch: result.value };
  };
  return {
    next() {
      if (isOver) return { done: true };
      const result = iterator.next();
      return isPromiseLike(result) ? Promise.resolve(result).then(take) : take(result);
    },
    close() {
      if (isOver) return;
      isOver = true;
      // A generator that waits can't be ended now: nobody waits for it.
      const ended = iterator.return?.();
      if (isPromiseLike(ended)) ended.then(undefined, () => {});
    },
  };
}
