/** Vectors that were learned: how well they fit the text, and which words they put near each other. */
import { type Batch, batches, type Corpus } from './corpus.js';
import { DIM, skipGram } from './skipGram.js';

/** Pairs that a loss is measured on. */
const BATCHES = 200;

/** The vectors of a vocabulary, flat, word after word. */
export class VectorsOfWords {
  readonly #corpus: Corpus;
  readonly #inputs: Float32Array;
  readonly #outputs: Float32Array;

  constructor(corpus: Corpus, inputs: Float32Array, outputs: Float32Array) {
    this.#corpus = corpus;
    this.#inputs = inputs;
    this.#outputs = outputs;
  }

  /** The mean loss of pairs of the text, the same ones for all vectors. */
  get loss(): number {
    let sum = 0;
    let count = 0;
    for (const batch of batches(this.#corpus, { part: 0, parts: 1, epochs: 1, seed: 4711 })) {
      if (count === BATCHES) break;
      sum += this.#lossOf(batch);
      count++;
    }
    return sum / count;
  }

  /** The `count` words whose vectors have the smallest angles to that of `word`. */
  neighbours(word: string, count: number): string[] {
    const { vocabulary } = this.#corpus;
    const own = vocabulary.indexOf(word);
    const near = vocabulary.map((other, i) => ({ other, cosine: this.#cosine(own, i) }));
    near.sort((a, b) => b.cosine - a.cosine);
    return near.slice(1, count + 1).map(({ other }) => other);
  }

  #lossOf(batch: Batch): number {
    const gather = (table: Float32Array, ids: Uint32Array): Float32Array => {
      const rows = new Float32Array(ids.length * DIM);
      ids.forEach((id, i) => {
        rows.set(table.subarray(id * DIM, (id + 1) * DIM), i * DIM);
      });
      return rows;
    };
    return skipGram(gather(this.#inputs, batch.inputs), gather(this.#outputs, batch.outputs), batch).loss;
  }

  #cosine(a: number, b: number): number {
    let [ab, aa, bb] = [0, 0, 0];
    for (let d = 0; d < DIM; d++) {
      const x = this.#inputs[a * DIM + d] as number;
      const y = this.#inputs[b * DIM + d] as number;
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    return ab / Math.sqrt(aa * bb);
  }
}
