/**
 * The demo: this process is the server, and starts worker processes that train a small network on
 * handwritten digits, each on its own part of them. The last line is the accuracy on digits that
 * no worker has seen.
 *
 *     npm run demo -- --workers 4 --consistency ssp --staleness 3 --steps 300 --seed 1
 */
import { adam, ParameterServer } from 'pslib';
import { loadDigits, splitDigits } from './data.js';
import { accuracy, networkParameters } from './network.js';
import { readOptions } from './options.js';
import { startProgress } from './progress.js';
import { LEARNING_RATE } from './settings.js';
import { runWorkers } from './workerProcesses.js';

/** How many clocks pass between two measurements of the accuracy. */
const CLOCKS_PER_TEST = 10;

const options = readOptions();
const { test } = splitDigits(loadDigits());

const server = new ParameterServer({
  parameters: networkParameters,
  optimizer: adam({ learningRate: LEARNING_RATE }),
  consistency: options.consistency,
  minWorkers: options.workers,
  seed: options.seed,
  port: 0,
});
await server.listen();
console.log(
  `Server at ${server.url}, ${options.workers} worker processes, ${options.steps} steps each, ${options.consistency.name}`,
);

const progress = startProgress(options.steps);
const joined = new Set<string>();
let loss = Number.NaN;
let share = Number.NaN;

server.on('worker:join', ({ id }) => joined.add(id));
server.on('metrics', ({ metrics }) => {
  loss = metrics.loss ?? loss;
});
server.on('clock', ({ minClock }) => {
  progress.show({ minClock, loss, accuracy: share, slowest: slowestWorker() });
  if (minClock % CLOCKS_PER_TEST === 0) void measure();
});

const finished = await runWorkers({
  ...options,
  url: server.url,
  hasBegun: () => joined.size >= options.workers,
  note: progress.note,
});
progress.stop();

try {
  const result = await testAccuracy();
  if (finished === 0) throw new Error('no worker finished its steps');
  if (finished < options.workers) console.log(`${finished} of ${options.workers} workers finished`);
  console.log(`accuracy ${result.toFixed(3)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await server.close();
}

/** Accuracy of the parameters as they are now. */
async function testAccuracy(): Promise<number> {
  const { tensors } = await server.parameters();
  return accuracy(tensors, test);
}

/** Measures the accuracy for the next report; a network that diverged has none. */
async function measure(): Promise<void> {
  share = await testAccuracy().catch(() => Number.NaN);
}

/** The worker that the others may come to wait for: the one with the lowest clock. */
function slowestWorker(): string {
  const [first, ...others] = server
    .workers()
    .filter(({ role, state }) => role === 'worker' && state === 'training');
  if (first === undefined) return '–';
  return others.reduce((slowest, each) => (each.clock < slowest.clock ? each : slowest), first).id;
}
