/**
 * One server, two workers in Node and two in Python train one network on the handwritten digits, each on
 * its own part of them. The last line is the accuracy on digits that no worker has seen.
 *
 *     npx tsx examples/python/main.ts --steps 200
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { adam, ParameterServer } from 'pslib';
import { loadDigits, splitDigits } from '../digits/data.js';
import { accuracy, networkParameters } from '../digits/network.js';
import { fallingRate, LEARNING_RATE } from '../digits/settings.js';

const NODE_WORKERS = 2;
const PYTHON_WORKERS = 2;
const WORKERS = NODE_WORKERS + PYTHON_WORKERS;
/** Debian's Python, whose packages the README names, if it is there. */
const SYSTEM_PYTHON = '/usr/bin/python3';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '300' },
    python: { type: 'string', default: existsSync(SYSTEM_PYTHON) ? SYSTEM_PYTHON : 'python3' },
  },
});
const steps = Number(values.steps);

const server = new ParameterServer({
  parameters: networkParameters,
  optimizer: adam({ learningRate: fallingRate(LEARNING_RATE, steps * WORKERS) }),
  minWorkers: WORKERS,
  seed: 1,
  port: 0,
});
await server.listen();
console.log(`Server at ${server.url}: ${NODE_WORKERS} workers in Node, ${PYTHON_WORKERS} in Python`);

const test = splitDigits(loadDigits()).test;
let loss = Number.NaN;
server.on('metrics', ({ metrics }) => {
  loss = metrics.loss ?? loss;
});
server.on('clock', ({ minClock }) => {
  if (minClock % Math.ceil(steps / 10) === 0) console.log(`clock ${minClock}  loss ${loss.toFixed(3)}`);
});

try {
  const workers = Array.from({ length: WORKERS }, (_, rank) => startWorker(rank));
  const ends = await Promise.all(workers.map((worker) => once(worker, 'close')));
  if (ends.some(([code]) => code !== 0)) throw new Error('a worker failed');
  const { version, tensors } = await server.parameters();
  console.log(`${version} updates`);
  console.log(`accuracy ${accuracy(tensors, test).toFixed(3)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await server.close();
}

function startWorker(rank: number) {
  const env = {
    ...process.env,
    PSLIB_SERVERS: server.url,
    PSLIB_RANK: `${rank}`,
    PSLIB_WORLD_SIZE: `${WORKERS}`,
    DIGITS_STEPS: `${steps}`,
    DIGITS_SEED: '1',
    DIGITS_VALIDATION: 'false',
    // Four processes share the cores: numpy's own threads would only get in their way.
    OPENBLAS_NUM_THREADS: '1',
  };
  if (rank < NODE_WORKERS) return fork(new URL('../digits/worker.ts', import.meta.url), { env });
  const program = fileURLToPath(new URL('train.py', import.meta.url));
  const worker = spawn(values.python, [program, '--steps', `${steps}`], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // By lines: Python may write the end of one by itself, and two of them at once would come as one line.
  createInterface(worker.stdout).on('line', (line) => console.log(line));
  return worker;
}
