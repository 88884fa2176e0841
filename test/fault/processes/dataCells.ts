/** A data set whose every example has a cell in every epoch and on every shard, to which each push that counts adds 1. */
export const SIZE = 10_000;
export const EPOCHS = 3;
/** Several batches in a data shard, and a last data shard that is shorter. */
export const SHARD_SIZE = 240;
export const BATCH = 50;

/** The model of a group of `count` servers: each holds one row of it. */
export function parametersFor(count: number): { counts: { shape: [number, number] } } {
  return { counts: { shape: [count, EPOCHS * SIZE] } };
}

/** The gradient, for a learning rate of 1, that adds 1 to the cells of `examples` in `epoch`. */
export function countExamples(count: number, epoch: number, examples: Iterable<number>): Float32Array {
  const gradient = new Float32Array(count * EPOCHS * SIZE);
  for (const example of examples) {
    for (let shard = 0; shard < count; shard++) gradient[(shard * EPOCHS + epoch) * SIZE + example] = -1;
  }
  return gradient;
}
