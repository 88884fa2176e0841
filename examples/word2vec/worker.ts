/** One worker process: its part of the text, batch by batch, each with just the rows that it needs. */
import { Worker } from 'pslib';
import { type Batch, batches, readCorpus } from './corpus.js';
import { skipGram, type tables } from './skipGram.js';

const { WORDS_URL = '', WORDS_RANK = '0', WORDS_SETTINGS = '{}' } = process.env;
const { files, maxWords, parts, epochs, seed } = JSON.parse(WORDS_SETTINGS);
const corpus = await readCorpus(files, maxWords ?? undefined);

const worker = new Worker<typeof tables>(WORDS_URL, { id: `words-${WORDS_RANK}` });
await worker.run<Batch>(
  ({ inputs, outputs }, batch) => {
    const { loss, dInputs, dOutputs } = skipGram(inputs.data, outputs.data, batch);
    return {
      gradients: {
        inputs: { ids: batch.inputs, values: dInputs },
        outputs: { ids: batch.outputs, values: dOutputs },
      },
      metrics: { loss },
    };
  },
  {
    data: batches(corpus, { part: Number(WORDS_RANK), parts, epochs, seed }),
    rows: ({ inputs, outputs }) => ({ inputs, outputs }),
  },
);
await worker.close();
