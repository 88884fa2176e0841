/** Text files → words by number → batches of pairs, each of a word and one near it, with words that are not. */
import { readFile } from 'node:fs/promises';

/** A text whose words are numbered, the most frequent first. */
export interface Corpus {
  readonly vocabulary: readonly string[];
  /** How often each occurs. */
  readonly counts: readonly number[];
  /** The text, word by word; rare words are left out. */
  readonly words: Uint32Array;
}

/** A batch: `inputs[i]` is to be told from its neighbour `outputs[i · (1 + NEGATIVES)]`, and not from the others there. */
export interface Batch {
  readonly inputs: Uint32Array;
  readonly outputs: Uint32Array;
  /** Pairs. */
  readonly length: number;
}

/** Words drawn at random for each pair. */
export const NEGATIVES = 5;
const PAIRS_PER_BATCH = 128;
const WINDOW = 4;
/** Rarer words are left out. */
const MIN_COUNT = 5;
/** Of words more frequent than this, some occurrences are passed over (Mikolov et al. 2013, section 2.3). */
const FREQUENT = 1e-3;

/** Reads `files`; at most `maxWords` of their words. */
export async function readCorpus(
  files: readonly string[],
  maxWords = Number.POSITIVE_INFINITY,
): Promise<Corpus> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const all = (
    texts
      .join('\n')
      .toLowerCase()
      .match(/[\p{L}][\p{L}’']+/gu) ?? []
  ).slice(0, maxWords);
  const counted = new Map<string, number>();
  for (const word of all) counted.set(word, (counted.get(word) ?? 0) + 1);
  const kept = [...counted].filter(([, count]) => count >= MIN_COUNT);
  // Equal counts by name: every process has the same numbers.
  kept.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const numbers = new Map(kept.map(([word], i) => [word, i]));
  return {
    vocabulary: kept.map(([word]) => word),
    counts: kept.map(([, count]) => count),
    words: Uint32Array.from(all.flatMap((word) => numbers.get(word) ?? [])),
  };
}

/** The batches of part `part` of `parts` of the text, `epochs` times over. */
export function* batches(
  corpus: Corpus,
  { part, parts, epochs, seed }: { part: number; parts: number; epochs: number; seed: number },
): Generator<Batch, void, undefined> {
  const random = generator(seed * 1000 + part);
  const drawn = negativeTable(corpus.counts);
  const begin = Math.floor((corpus.words.length * part) / parts);
  const own = corpus.words.subarray(begin, Math.floor((corpus.words.length * (part + 1)) / parts));
  const inputs: number[] = [];
  const outputs: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const text = own.filter((word) => random() < keepProbability(corpus, word));
    for (let at = 0; at < text.length; at++) {
      const reach = 1 + Math.floor(random() * WINDOW);
      for (let near = Math.max(0, at - reach); near <= Math.min(text.length - 1, at + reach); near++) {
        if (near === at) continue;
        inputs.push(text[at] as number);
        outputs.push(text[near] as number);
        for (let k = 0; k < NEGATIVES; k++)
          outputs.push(drawn[Math.floor(random() * drawn.length)] as number);
        if (inputs.length < PAIRS_PER_BATCH) continue;
        yield {
          inputs: Uint32Array.from(inputs.splice(0)),
          outputs: Uint32Array.from(outputs.splice(0)),
          length: PAIRS_PER_BATCH,
        };
      }
    }
  }
}

function keepProbability({ counts, words }: Corpus, word: number): number {
  const share = (counts[word] as number) / words.length;
  return Math.sqrt(FREQUENT / share);
}

/** Words in proportion to their counts to the power of 3/4. */
function negativeTable(counts: readonly number[]): Uint32Array {
  const weights = counts.map((count) => count ** 0.75);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const words: number[] = [];
  let sum = 0;
  weights.forEach((weight, word) => {
    sum += weight;
    while (words.length < (100_000 * sum) / total) words.push(word);
  });
  return Uint32Array.from(words);
}

/** Numbers in [0, 1) (mulberry32, T. Ettinger). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
