/**
 * Word vectors from text files, learned by four worker processes in two sparse tables: each pulls the few hundred rows
 * that its batch needs, and pushes their gradients. Then the same in a single process, to compare.
 *
 *     npx tsx examples/word2vec/main.ts book.txt …     default: the Markdown files of this repository
 *     --epochs 5 --workers 4 --words 200000 --near worker,version
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ParameterServer, ssp, Worker } from 'pslib';
import { readCorpus } from './corpus.js';
import { trainAlone } from './singleProcess.js';
import { optimizer, tables } from './skipGram.js';
import { VectorsOfWords } from './vectors.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '5' },
    workers: { type: 'string', default: '4' },
    words: { type: 'string' },
    near: { type: 'string', default: 'worker,server,push,version,shard,gradient' },
    seed: { type: 'string', default: '1' },
  },
});
const epochs = Number(values.epochs);
const parts = Number(values.workers);
const seed = Number(values.seed);
const maxWords = values.words === undefined ? undefined : Number(values.words);
const files =
  positionals.length > 0 ? positionals : await markdownOf(fileURLToPath(new URL('../..', import.meta.url)));

const corpus = await readCorpus(files, maxWords);
const { vocabulary, words } = corpus;
console.log(`${files.length} files: ${words.length} words, ${vocabulary.length} different ones`);

const server = new ParameterServer({
  parameters: {},
  tables,
  optimizer,
  consistency: ssp({ staleness: 3 }),
  minWorkers: parts,
  port: 0,
  seed,
});
await server.listen();
const begun = performance.now();
await Promise.all(Array.from({ length: parts }, (_, rank) => workerProcess(rank)));
const learned = await vectorsAt(server.url);
report(`${parts} workers`, learned, begun);
await server.close();

const begunAlone = performance.now();
report('a single process', trainAlone(corpus, epochs, seed), begunAlone);

for (const word of values.near.split(',').filter((each) => vocabulary.includes(each))) {
  console.log(`${word.padEnd(10)} ${learned.neighbours(word, 6).join(', ')}`);
}

/** Resolves when it has learned from its part of the text. */
async function workerProcess(rank: number): Promise<void> {
  const settings = JSON.stringify({ files, maxWords, parts, epochs, seed });
  const env = { ...process.env, WORDS_URL: server.url, WORDS_RANK: `${rank}`, WORDS_SETTINGS: settings };
  const [code] = await once(fork(new URL('./worker.ts', import.meta.url), { env }), 'exit');
  if (code !== 0) throw new Error(`worker ${rank} ended with ${code}`);
}

/** All rows, as a reader sees them. */
async function vectorsAt(url: string): Promise<VectorsOfWords> {
  const reader = new Worker<typeof tables>(url, { readOnly: true });
  const ids = Uint32Array.from(vocabulary, (_, i) => i);
  const inputs = await reader.pullRows('inputs', ids);
  const outputs = await reader.pullRows('outputs', ids);
  await reader.close();
  return new VectorsOfWords(corpus, inputs.data, outputs.data);
}

function report(who: string, vectors: VectorsOfWords, since: number): void {
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  console.log(`${who.padEnd(18)} loss ${vectors.loss.toFixed(3)} in ${seconds} s`);
}

/** The Markdown files under `folder`, without those of packages. */
async function markdownOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    if (entry.isDirectory()) found.push(...(await markdownOf(join(folder, entry.name))));
    else if (entry.name.endsWith('.md')) found.push(join(folder, entry.name));
  }
  return found.sort();
}
