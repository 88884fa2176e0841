/** A model that counts: each example of each epoch has a cell, to which every push that counts adds 1. */
import {
  ParameterServer,
  type ParameterServerOptions,
  sgd,
  Worker,
  type WorkerOptions,
} from '../../../src/index.js';
import type { DataShard } from '../../../src/io/worker/dataShards.js';

export const SIZE = 200;
export const EPOCHS = 2;

/** A server with a cell for each of `size` examples in each of `epochs`. */
export function countingServer(
  options: Partial<Omit<ParameterServerOptions, 'parameters'>> = {},
  size = SIZE,
  epochs = EPOCHS,
): ParameterServer {
  const given = { optimizer: sgd({ learningRate: 1 }), port: 0, ...options } as ParameterServerOptions;
  return new ParameterServer({ ...given, parameters: { counts: { shape: [epochs, size] } } });
}

/** One batch: which examples of which epoch. */
export interface Batch {
  readonly epoch: number;
  readonly examples: readonly number[];
  readonly length: number;
}

/** Cuts a data shard into batches of `batchSize`. */
export function batchesOf(batchSize: number): (shard: DataShard) => Iterable<Batch> {
  return function* (shard) {
    for (let at = 0; at < shard.indices.length; at += batchSize) {
      const examples = [...shard.indices.subarray(at, at + batchSize)];
      yield { epoch: shard.epoch, examples, length: examples.length };
    }
  };
}

/** The gradient that adds 1 to the cells of a batch. */
export function countBatch(batch: Batch, size = SIZE, epochs = EPOCHS): { counts: Float32Array } {
  const counts = new Float32Array(epochs * size);
  for (const example of batch.examples) counts[batch.epoch * size + example] = -1;
  return { counts };
}

/** How many cells have each count. */
export async function tally(server: ParameterServer): Promise<Record<number, number>> {
  const { tensors } = await server.parameters();
  const found: Record<number, number> = {};
  for (const count of tensors.counts?.data ?? []) found[count] = (found[count] ?? 0) + 1;
  return found;
}

export function newWorker(server: ParameterServer, id: string, options: WorkerOptions = {}): Worker {
  return new Worker(server.url, { id, reconnect: { minDelayMs: 10, maxDelayMs: 100 }, ...options });
}
