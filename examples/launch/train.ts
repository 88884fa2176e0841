/**
 * One script for every process of a job: each asks which part it is, and is a server or a worker. It trains
 * the network of ../digits and runs unchanged on one machine, in Slurm and in Kubernetes.
 *
 *     npx pslib launch --servers 1 --workers 4 -- npx tsx examples/launch/train.ts
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  adam,
  bsp,
  fromEnvironment,
  ParameterServer,
  type ServerPlace,
  ssp,
  Worker,
  type WorkerPlace,
} from 'pslib';
import { loadDigits, partOf, shuffledBatches, splitDigits } from '../digits/data.js';
import { accuracy, gradient, networkParameters } from '../digits/network.js';
import { randomFrom } from '../digits/random.js';
import { BATCH_SIZE, fallingRate, LEARNING_RATE } from '../digits/settings.js';

const STEPS = Number(process.env.DIGITS_STEPS ?? 300);
/** With bsp the result is the same to the bit wherever it runs; with ssp nobody waits for each single step. */
const IS_BSP = process.env.DIGITS_CONSISTENCY === 'bsp';
const SEED = 1;
/** How long the servers wait at the end for those who are still connected. */
const GRACE_MS = 20_000;
/** The reader that judges the result; when it leaves, the servers are no longer needed. */
const EXAMINER = 'examiner';

const place = await fromEnvironment();
if (place.role === 'server') await serve(place);
else await train(place);

/** Serves until every worker has taken its steps and the result has been judged, or a signal ends the job. */
async function serve({ rank, servers, workers = 1, serverOptions }: ServerPlace): Promise<void> {
  const server = new ParameterServer({
    parameters: networkParameters,
    // With bsp the workers' gradients of a step make one update together.
    optimizer: adam({ learningRate: fallingRate(LEARNING_RATE, IS_BSP ? STEPS : STEPS * workers) }),
    consistency: IS_BSP ? bsp() : ssp({ staleness: 3 }),
    minWorkers: workers,
    seed: SEED,
    ...serverOptions,
  });
  const trained = new Promise<void>((resolve) => {
    server.on('clock', ({ minClock }) => {
      if (minClock % 50 === 0) console.log(`minClock ${minClock} of ${STEPS}`);
      if (minClock >= STEPS) resolve();
    });
  });
  const judged = new Promise<void>((resolve) => {
    server.on('worker:leave', ({ id }) => {
      if (id === EXAMINER) resolve();
    });
  });
  const stopped = once(process, 'SIGTERM');
  await server.listen();
  const { minClock } = server.stats();
  const from = minClock > 0 ? `, goes on at minClock ${minClock}` : '';
  console.log(`server ${rank} of ${servers.length} listens at ${server.url}${from}`);

  const isTrained =
    minClock >= STEPS || (await Promise.race([trained.then(() => true), stopped.then(() => false)]));
  if (isTrained) {
    if (rank === 0) console.log(await examine(servers));
    // Whoever stops the servers now must wait: each holds a part of what is judged, and workers say goodbye yet.
    await Promise.race([judged, sleep(GRACE_MS, undefined, { ref: false })]);
    const end = performance.now() + GRACE_MS;
    const areWorkersThere = (): boolean => server.workers().some(({ role }) => role === 'worker');
    while (areWorkersThere() && performance.now() < end) await sleep(20);
  }
  await server.drain({ timeoutMs: 5_000 });
  await server.close();
}

/** The accuracy of the parameters, whichever server holds which of them, and a hash of their bits. */
async function examine(servers: readonly string[]): Promise<string> {
  const reader = new Worker<typeof networkParameters>(servers, {
    id: EXAMINER,
    readOnly: true,
    token: process.env.PSLIB_TOKEN,
  });
  const { tensors } = await reader.pull();
  await reader.close();
  const hash = createHash('sha256');
  for (const { data } of Object.values(tensors)) hash.update(data);
  const share = accuracy(tensors, splitDigits(loadDigits()).test);
  return `accuracy ${share.toFixed(3)}  parameters ${hash.digest('hex').slice(0, 12)}`;
}

/** Takes the steps that are left: after a restart a worker goes on at its clock. */
async function train({ rank, worldSize, servers, workerOptions }: WorkerPlace): Promise<void> {
  const part = partOf(splitDigits(loadDigits()).training, rank, worldSize);
  const batches = shuffledBatches(part, BATCH_SIZE, randomFrom(SEED * worldSize + rank));
  const worker = new Worker<typeof networkParameters>(servers, {
    ...workerOptions,
    // As long as a server takes to come back on another machine.
    reconnect: { maxOfflineMs: 120_000 },
  });
  await worker.connect();
  // The batches of the steps that an earlier process of this worker has taken.
  for (let step = 0; step < worker.clock; step++) batches.next();
  const { steps, waitSeconds } = await worker.run(
    (parameters, batch) => {
      const { loss, gradients } = gradient(parameters, batch);
      return { gradients, metrics: { loss } };
    },
    { data: batches, steps: Math.max(0, STEPS - worker.clock) },
  );
  await worker.close();
  console.log(`worker ${rank} took ${steps} steps and waited for ${waitSeconds.toFixed(1)} s`);
}
