/**
 * A search for good settings: every combination is a task, worker processes train with them, and the results come
 * back as they are done. In the end there is a table, best first.
 *
 *     npx tsx examples/grid-search/main.ts --workers 4 --steps 300
 */
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ParameterServer } from 'pslib';
import type { TrainingSettings } from '../digits/plainTraining.js';
import { Scores } from './scores.js';

const LEARNING_RATES = [0.001, 0.004, 0.008, 0.016, 0.032];
const BATCH_SIZES = [16, 32, 64];

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '4' },
    steps: { type: 'string', default: '300' },
    seeds: { type: 'string', default: '3' },
  },
});
const [workers, steps, seeds] = [Number(values.workers), Number(values.steps), Number(values.seeds)];

// Tasks need no parameters; a server has at least one.
const server = new ParameterServer({ parameters: { none: { shape: [0] } }, port: 0 });
await server.listen();
const processes = Array.from({ length: workers }, (_, rank) =>
  fork(new URL('./worker.ts', import.meta.url), [server.url, `worker-${rank}`]),
);

/** All combinations, made as they are asked for. */
function* combinations(): Generator<TrainingSettings> {
  for (const learningRate of LEARNING_RATES) {
    for (const batchSize of BATCH_SIZES) {
      for (let seed = 1; seed <= seeds; seed++) yield { steps, batchSize, learningRate, seed };
    }
  }
}

const scores = new Scores();
try {
  const outcomes = server.tasks.map<TrainingSettings, number>(combinations(), { timeoutMs: 300_000 });
  for await (const outcome of outcomes) {
    const { learningRate, batchSize, seed } = outcome.input;
    const name = `rate ${learningRate}, batches of ${batchSize}, seed ${seed}`;
    if (outcome.error === undefined) {
      scores.add(outcome.input, outcome.result);
      console.log(`${name}: accuracy ${outcome.result.toFixed(3)}`);
    } else {
      // Settings with which training diverges fail as tasks, and leave the others alone.
      scores.addFailure(outcome.input);
      console.log(`${name}: ${outcome.error.message}`);
    }
  }
  console.log(`\n${scores.table()}`);
} finally {
  server.finish('the search is over');
  await Promise.all(processes.map((each) => new Promise((resolve) => each.once('exit', resolve))));
  await server.close();
}
