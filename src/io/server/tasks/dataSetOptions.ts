/** What `tasks.dataset` takes: checks, defaults, and the items as the core asks for them. */
import { invalidArgument, PsError } from '../../../core/base/errors.js';
import { checkOptionObject, integer } from '../../../core/base/optionObject.js';
import { encodeValue } from '../../../core/protocol/valueCodec.js';
import type { ItemSource } from '../../../core/server/dataDesk.js';
import { checkDataSet, type DataSet } from '../../../core/tasks/dataSet.js';
import type { Tensor } from '../../../core/tensor/tensor.js';

/** Data shards of an epoch, where `shardSize` is left out. */
const DEFAULT_SHARDS = 64;

/** What `onEpoch` is told. */
export interface EpochEvent {
  /** From 0. */
  readonly epoch: number;
  readonly epochs: number;
  /** Examples that were counted in it: all. */
  readonly examples: number;
  /** The server's version. */
  readonly version: number;
  /** A copy of the parameters, with every example of the epoch in it and none of the next. */
  readonly parameters: Readonly<Record<string, Tensor>>;
  /** Means of the metrics of the epoch's pushes, weighted by examples. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Ends training: no further epoch, and every `run` on data shards ends. */
  stop(reason?: string): void;
}

/**
 * Called between two epochs; the next one begins when it has ended, or the promise that it returns has. Metrics
 * that it returns (numbers by name) are added to those of the epoch, for the `epoch` event and `keepBest`.
 */
export type OnEpoch = (event: EpochEvent) => unknown;

/** A data set to go through: exactly one of `size` and `items`. */
export interface DataSetOptions {
  /** How many examples there are; the workers hold them. */
  readonly size?: number;
  /** The examples; the server sends them. Any values that can be sent (see `docs/guides/tasks.md`); they must not change. */
  readonly items?: readonly unknown[];
  /** Examples in a data shard. Default: a 64th of the data set, rounded up. */
  readonly shardSize?: number;
  /** How often to go through all. Default 1. */
  readonly epochs?: number;
  /** Each epoch in another order, which comes from the server's `seed`. Default false. */
  readonly shuffle?: boolean;
  /**
   * Milliseconds after which a worker that is there and makes no progress (no pull, push or tick) loses its data shards
   * to others that wait for one. Default: `limits.maxStepMs`. Infinity: never.
   */
  readonly leaseMs?: number;
  /** Called when an epoch is over. */
  readonly onEpoch?: OnEpoch;
}

/** Options after their checks. */
export interface CheckedDataSet {
  readonly dataSet: DataSet;
  readonly items: ItemSource | undefined;
  readonly leaseMs: number;
  readonly onEpoch: OnEpoch | undefined;
}

/** Throws `PS_INVALID_ARGUMENT` that names the option, `PS_VALUE_INVALID` that names the item. */
export function checkDataSetOptions(
  options: DataSetOptions,
  { seed, maxStepMs }: { readonly seed: number; readonly maxStepMs: number },
): CheckedDataSet {
  const keys = ['size', 'items', 'shardSize', 'epochs', 'shuffle', 'leaseMs', 'onEpoch'] as const;
  const given = checkOptionObject('dataset', options, keys);
  const { items, epochs = 1, shuffle = false, leaseMs = maxStepMs, onEpoch } = given;
  if ((options.size === undefined) === (items === undefined)) {
    throw invalidArgument('dataset', options, 'given exactly one of size and items');
  }
  if (items !== undefined && !Array.isArray(items)) {
    throw invalidArgument('dataset.items', items, 'an array');
  }
  if (onEpoch !== undefined && typeof onEpoch !== 'function') {
    throw invalidArgument('dataset.onEpoch', onEpoch, 'a function');
  }
  if (leaseMs !== Number.POSITIVE_INFINITY) integer('dataset.leaseMs', leaseMs, 1);
  const size = items?.length ?? (options.size as number);
  const { shardSize = Math.ceil(size / DEFAULT_SHARDS) } = options;
  const hasItems = items !== undefined;
  const dataSet = checkDataSet({ size, shardSize, epochs, shuffle, seed, hasItems });
  return { dataSet, items: items === undefined ? undefined : itemSource(items), leaseMs, onEpoch };
}

/** Each item is looked at once now, so that one that can't be sent does not end training in the middle. */
function itemSource(items: readonly unknown[]): ItemSource {
  const kept = items.slice();
  for (const [i, item] of kept.entries()) {
    if (!ArrayBuffer.isView(item)) encodeValue(item, `dataset.items[${i}]`);
  }
  return {
    encode: (examples) => {
      const chosen = new Array<unknown>(examples.length);
      for (let i = 0; i < examples.length; i++) chosen[i] = kept[examples[i] as number];
      return encodeValue(chosen, 'the items of a data shard');
    },
  };
}

/** The error of a second data set while one is gone through. */
export function stillRunning(): PsError {
  const text = 'dataset: a data set is being gone through; stop it first, or wait for its end';
  return new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'dataset' } });
}
