/**
 * Texts that workers get from the server: the pages of docs/ are first tasks, whose words are counted, then a data
 * set, from which a bigram model is counted into the parameters. Both are compared with a count in this process.
 *
 *     npx tsx examples/text/main.ts
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { asp, ParameterServer, sgd } from 'pslib';
import {
  addBigrams,
  addCounts,
  countWords,
  loadPages,
  numbersOf,
  VOCABULARY,
  vocabularyOf,
} from './words.js';

const WORKERS = 3;

const server = new ParameterServer({
  parameters: { bigrams: { shape: [VOCABULARY, VOCABULARY] } },
  // A gradient of −1 adds 1: the parameters are counts. Their order does not matter.
  optimizer: sgd({ learningRate: 1 }),
  consistency: asp(),
  port: 0,
});
await server.listen();
const processes = Array.from({ length: WORKERS }, (_, rank) =>
  fork(new URL('./worker.ts', import.meta.url), [server.url, `worker-${rank}`]),
);
const pages = loadPages();
// The first to come would take all: there are few pages, and they are quickly read.
while (server.workers().length < WORKERS) await once(server as never, 'worker:join');

try {
  const counts = await wordCounts();
  const vocabulary = vocabularyOf(counts);
  const numbered = pages.map((page) => numbersOf(page, vocabulary));
  const bigrams = await bigramCounts(numbered);
  compare(counts, bigrams, numbered);
  for (const word of ['data', 'worker', 'server']) {
    console.log(`${word} → ${likeliest(bigrams, vocabulary, word).join(', ')}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
  for (const each of processes) each.kill();
} finally {
  await Promise.all(
    processes.map((each) => each.exitCode ?? new Promise((resolve) => each.once('exit', resolve))),
  );
  await server.close();
}

/** How often each word stands in all pages. */
async function wordCounts(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const byWorker = new Map<string, number>();
  for await (const outcome of server.tasks.map<string, Record<string, number>>(pages)) {
    if (outcome.error !== undefined) throw outcome.error;
    addCounts(counts, outcome.result);
    byWorker.set(outcome.worker, (byWorker.get(outcome.worker) ?? 0) + 1);
  }
  const words = [...counts.values()].reduce((sum, count) => sum + count, 0);
  console.log(`${pages.length} pages, ${words} words, ${counts.size} different ones`);
  for (const [worker, count] of [...byWorker].sort()) console.log(`  ${worker} read ${count} pages`);
  return counts;
}

/** How often each word follows each, as the workers have added it up. */
async function bigramCounts(numbered: readonly Uint16Array[]): Promise<Float32Array> {
  const { examples } = await server.tasks.dataset({ items: numbered, shardSize: 4 }).finished;
  const { tensors } = await server.parameters();
  console.log(`bigrams of ${examples} pages in ${server.stats().version} updates`);
  return tensors.bigrams?.data ?? new Float32Array(0);
}

/** Throws unless both are what one process counts. */
function compare(
  counts: ReadonlyMap<string, number>,
  bigrams: Float32Array,
  numbered: readonly Uint16Array[],
): void {
  const alone = new Map<string, number>();
  for (const page of pages) addCounts(alone, countWords(page));
  const isSame =
    alone.size === counts.size && [...alone].every(([word, count]) => counts.get(word) === count);
  if (!isSame) throw new Error('the words are not those that one process counts');
  const expected = new Float32Array(VOCABULARY * VOCABULARY);
  for (const page of numbered) addBigrams(expected, page, 1);
  if (!expected.every((count, i) => bigrams[i] === count)) {
    throw new Error('the bigrams are not those that one process counts');
  }
  console.log('words and bigrams are those that one process counts');
}

/** The three words that most often follow `word`, with their shares. */
function likeliest(bigrams: Float32Array, vocabulary: readonly string[], word: string): string[] {
  const row = vocabulary.indexOf(word) * VOCABULARY;
  const following = [...bigrams.subarray(row, row + VOCABULARY)];
  const sum = following.reduce((total, count) => total + count, 0);
  const ranked = following.map((count, number) => ({ count, number })).slice(1);
  ranked.sort((a, b) => b.count - a.count);
  return ranked
    .slice(0, 3)
    .map(({ count, number }) => `${vocabulary[number]} ${((100 * count) / sum).toFixed(0)} %`);
}
