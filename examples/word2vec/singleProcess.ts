/** The same training in one process and one piece of memory: what the workers are compared with. */
import type { Batch, Corpus } from './corpus.js';
import { batches } from './corpus.js';
import { DIM, LEARNING_RATE, skipGram } from './skipGram.js';
import { VectorsOfWords } from './vectors.js';

/** Adagrad on whole arrays, row by row. */
class LocalTable {
  readonly values: Float32Array;
  readonly #squares: Float32Array;

  constructor(rows: number, random: () => number) {
    this.values = Float32Array.from({ length: rows * DIM }, () => 0.1 * random() - 0.05);
    this.#squares = new Float32Array(rows * DIM).fill(0.1);
  }

  gather(ids: Uint32Array): Float32Array {
    const rows = new Float32Array(ids.length * DIM);
    ids.forEach((id, i) => {
      rows.set(this.values.subarray(id * DIM, (id + 1) * DIM), i * DIM);
    });
    return rows;
  }

  update(ids: Uint32Array, gradients: Float32Array): void {
    const sums = new Map<number, Float32Array>();
    ids.forEach((id, i) => {
      const sum = sums.get(id) ?? new Float32Array(DIM);
      for (let d = 0; d < DIM; d++) sum[d] = (sum[d] as number) + (gradients[i * DIM + d] as number);
      sums.set(id, sum);
    });
    for (const [id, sum] of sums) {
      for (let d = 0; d < DIM; d++) {
        const at = id * DIM + d;
        const g = sum[d] as number;
        const squares = (this.#squares[at] as number) + g * g;
        this.#squares[at] = squares;
        this.values[at] = (this.values[at] as number) - (LEARNING_RATE * g) / Math.sqrt(squares);
      }
    }
  }
}

/** Trains on the whole text, one batch after the other. */
export function trainAlone(corpus: Corpus, epochs: number, seed: number): VectorsOfWords {
  const rows = corpus.vocabulary.length;
  const inputs = new LocalTable(rows, Math.random);
  const outputs = new LocalTable(rows, Math.random);
  for (const batch of batches(corpus, { part: 0, parts: 1, epochs, seed })) step(inputs, outputs, batch);
  return new VectorsOfWords(corpus, inputs.values, outputs.values);
}

function step(inputs: LocalTable, outputs: LocalTable, batch: Batch): void {
  const result = skipGram(inputs.gather(batch.inputs), outputs.gather(batch.outputs), batch);
  inputs.update(batch.inputs, result.dInputs);
  outputs.update(batch.outputs, result.dOutputs);
}
