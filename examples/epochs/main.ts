/**
 * Training by epochs that the server divides into data shards. On the way one of three worker processes is killed in
 * the middle of its work, and later another one joins; all the same every digit counts once in each epoch, as the
 * parameters themselves tell at the end.
 *
 *     npx tsx examples/epochs/main.ts
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { adam, ParameterServer, ssp } from 'pslib';
import { accuracy } from '../digits/network.js';
import { BATCH_SIZE, fallingRate, LEARNING_RATE } from '../digits/settings.js';
import { parameters, test, training } from './model.js';

const WORKERS = 3;
const EPOCHS = Number(process.env.DIGITS_EPOCHS ?? 24);
const SIZE = training.labels.length;
/** Three batches in a data shard. */
const SHARD_SIZE = 3 * BATCH_SIZE;
const KILL_IN = Math.floor(EPOCHS / 3);
const JOIN_IN = Math.floor((2 * EPOCHS) / 3);

const server = new ParameterServer({
  parameters,
  optimizer: adam({ learningRate: fallingRate(LEARNING_RATE, EPOCHS * Math.ceil(SIZE / BATCH_SIZE)) }),
  consistency: ssp({ staleness: 3 }),
  seed: 1,
  // On one machine a connection that is lost means a process that died.
  limits: { disconnectGraceMs: 200 },
  port: 0,
});
await server.listen();

const workers: ChildProcess[] = [];
const ends: Promise<unknown>[] = [];
for (let rank = 0; rank < WORKERS; rank++) start();
let isKilled = false;
let hasJoined = false;

// In the middle of an epoch, when some of its data shards are done and others are out.
server.on('dataShard', ({ epoch, examples }) => {
  if (epoch === KILL_IN && !isKilled && examples >= SIZE / 3) {
    isKilled = true;
    workers[0]?.kill('SIGKILL');
    console.log(`epoch ${epoch + 1}: worker-0 is killed`);
  }
  if (epoch === JOIN_IN && !hasJoined) {
    hasJoined = true;
    console.log(`epoch ${epoch + 1}: worker-${start()} joins`);
  }
});

const run = server.tasks.dataset({
  size: SIZE,
  shardSize: SHARD_SIZE,
  epochs: EPOCHS,
  shuffle: true,
  onEpoch: ({ epoch, parameters: now, metrics }) => {
    const share = accuracy(now as never, test);
    const loss = metrics.loss ?? Number.NaN;
    console.log(`epoch ${epoch + 1}/${EPOCHS}  loss ${loss.toFixed(3)}  accuracy ${share.toFixed(3)}`);
  },
});

try {
  const { epochs, examples } = await run.finished;
  await Promise.all(ends);
  const { tensors } = await server.parameters();
  const counts = tensors.counts?.data ?? new Float32Array(0);
  const isExact = counts.every((count) => count === epochs);
  console.log(`${epochs} epochs of ${SIZE} digits: ${examples} examples counted`);
  if (!isExact)
    throw new Error(`counts from ${Math.min(...counts)} to ${Math.max(...counts)} are in the parameters`);
  console.log(`every digit is in the parameters ${epochs} times`);
  console.log(`accuracy ${accuracy(tensors as never, test).toFixed(3)}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const worker of workers) worker.kill();
  await server.close();
}

/** Starts a worker process, and returns its number. */
function start(): number {
  const rank = workers.length;
  const worker = fork(new URL('./worker.ts', import.meta.url), [server.url, `worker-${rank}`]);
  workers.push(worker);
  ends.push(once(worker, 'exit'));
  return rank;
}
