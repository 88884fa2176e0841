/**
 * The demo: this process is the server, and starts worker processes that train a small network on
 * handwritten digits, each on its own part of them. The last line is the accuracy on digits that
 * no worker has seen.
 *
 *     npm run demo -- --workers 4 --consistency ssp --staleness 3 --steps 300 --seed 1
 */
import { adam, ParameterServer } from 'pslib';
import { loadDigits, splitDigits, splitForValidation } from './data.js';
import { accuracy, networkParameters } from './network.js';
import { readOptions } from './options.js';
import { startProgress } from './progress.js';
import { fallingRate } from './settings.js';
import { runWorkers } from './workerProcesses.js';

/** How many clocks pass between two measurements of the accuracy. */
const CLOCKS_PER_TEST = 10;

const options = readOptions();
const { test } = (options.validation ? splitForValidation : splitDigits)(loadDigits());

// With BSP the workers' gradients of a step make one update together.
const updates = options.consistency.name === 'bsp' ? options.steps : options.steps * options.workers;
const server = new ParameterServer({
  parameters: networkParameters,
  optimizer: adam({ learningRate: fallingRate(options.learningRate, updates) }),
  consistency: options.consistency,
  minWorkers: options.workers,
  seed: options.seed,
  // On one machine a connection that is lost means a process that died: nobody waits long for it.
  limits: { disconnectGraceMs: 1_000 },
  port: 0,
  dashboard: true,
});
await server.listen();
console.log(
  `Server at ${server.url}: ${options.workers} workers, ${options.steps} steps each, ${options.consistency.name}`,
);
console.log(`Watch it at ${dashboardUrl()}${options.stay ? '' : ' (--stay keeps it open at the end)'}`);

const progress = startProgress(options.steps);
/** When the first update was applied, which is after all workers have joined. */
let begunMs: number | undefined;
let loss = Number.NaN;
let share = Number.NaN;

server.once('update', () => {
  begunMs = performance.now();
});
server.on('metrics', ({ metrics }) => {
  loss = metrics.loss ?? loss;
});
server.on('clock', ({ minClock }) => {
  progress.show({ minClock, loss, accuracy: share, slowest: slowestWorker() });
  if (minClock % CLOCKS_PER_TEST === 0) void measure();
});

// Ctrl-C ends the workers first, then the server.
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interruption.abort(new Error(`stopped by ${name}`)));
}

const finished = await runWorkers({
  ...options,
  url: server.url,
  hasBegun: () => begunMs !== undefined,
  note: progress.note,
  signal: interruption.signal,
});
progress.stop();

try {
  interruption.signal.throwIfAborted();
  if (finished === 0 || begunMs === undefined) throw new Error('no worker finished its steps');
  const seconds = (performance.now() - begunMs) / 1000;
  const { version } = server.stats();
  console.log(
    `${finished} of ${options.workers} workers finished; ${version} updates in ${seconds.toFixed(1)} s`,
  );
  console.log(`accuracy ${(await testAccuracy()).toFixed(3)}`);
  if (options.stay) await stayOpen();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await server.close();
}

/** Where a browser finds the curves. */
function dashboardUrl(): string {
  return new URL('dashboard/', server.url.replace('ws:', 'http:')).href;
}

/** Until Ctrl-C. */
async function stayOpen(): Promise<void> {
  console.log(`The dashboard stays open at ${dashboardUrl()} until Ctrl-C.`);
  if (interruption.signal.aborted) return;
  await new Promise((resolve) => interruption.signal.addEventListener('abort', resolve));
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

/** The worker that the others may come to wait for: among those that train, the slowest is the first. */
function slowestWorker(): string {
  return server.workers().find(({ lead }) => lead !== undefined)?.id ?? '–';
}
