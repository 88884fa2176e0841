/** The batches of a run, one by one, whatever they come from. Nothing is read ahead of its step. */
import { invalidArgument } from '../../core/base/errors.js';
import { isPromiseLike } from './abort.js';

/** Where batches come from: an iterable, or a function of the step, which counts from 0. */
export type BatchData<B> = Iterable<B> | AsyncIterable<B> | ((step: number) => B | PromiseLike<B>);

/** The next batch, or that there is none. */
export type BatchItem<B> =
  | { readonly done: true }
  | { readonly done: false; readonly batch: B | PromiseLike<B> };

/** The batches of one run. */
export interface BatchSource<B> {
  next(step: number): BatchItem<B> | Promise<BatchItem<B>>;
  /** No more are wanted. */
  close(): void;
}

/** The batches of `data`; without data there are as many as wanted, all undefined. Throws `PS_INVALID_ARGUMENT`. */
export function batchSource<B>(data: BatchData<B> | undefined): BatchSource<B> {
  if (data === undefined) return { next: () => ({ done: false, batch: undefined as B }), close: () => {} };
  if (typeof data === 'function') {
    return { next: (step) => ({ done: false, batch: data(step) }), close: () => {} };
  }
  return iteratorSource(iteratorOf(data));
}

function iteratorOf<B>(data: Iterable<B> | AsyncIterable<B>): Iterator<B> | AsyncIterator<B> {
  if (typeof data === 'object' && data !== null) {
    if (Symbol.asyncIterator in data) return data[Symbol.asyncIterator]();
    if (Symbol.iterator in data) return data[Symbol.iterator]();
  }
  throw invalidArgument('data', data, 'an iterable, an async iterable, or a function of the step');
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
