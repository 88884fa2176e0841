/**
 * The digits' training, with real worker processes, is what its `update` events say: computed again in
 * one loop from their order and delays alone, it comes to the same parameters. An update that was lost
 * or applied twice, a pull of two versions at once, or a wrong delay would show.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { type Digits, loadDigits, partOf, shuffledBatches, splitDigits } from '../../examples/digits/data.js';
import { gradient, type NetworkParameters, networkParameters } from '../../examples/digits/network.js';
import { randomFrom } from '../../examples/digits/random.js';
import { runWorkers } from '../../examples/digits/workerProcesses.js';
import { adam, ParameterServer, type ParameterServerEvents, ssp } from '../../src/index.js';

type Name = keyof typeof networkParameters;
type Update = Parameters<ParameterServerEvents['update']>[0];

const names = Object.keys(networkParameters) as Name[];
const WORKERS = 3;
const STEPS = 40;
const STALENESS = 2;
const SEED = 5;
const LEARNING_RATE = 2e-3;

afterEach(() => vi.unstubAllEnvs());

test('training by three processes is the loop that the update events tell of', async () => {
  const server = new ParameterServer({
    parameters: networkParameters,
    optimizer: adam({ learningRate: LEARNING_RATE }),
    consistency: ssp({ staleness: STALENESS }),
    minWorkers: WORKERS,
    port: 0,
  });
  await server.listen();
  const updates: Update[] = [];
  server.on('update', (update) => updates.push(update));
  const initial = copyOf((await server.parameters()).tensors);
  await runWorkersOf(server.url);
  const { tensors } = await server.parameters();
  await server.close();

  expect(updates.map(({ version }) => version)).toEqual(updates.map((_, i) => i + 1));
  expect(updates).toHaveLength(WORKERS * STEPS);
  const longestDelay = Math.max(...updates.map(({ delay }) => delay));
  expect(longestDelay).toBeLessThanOrEqual((WORKERS - 1) * (2 * STALENESS + 1));

  const replayed = replay(initial, updates);
  for (const name of names) {
    const differences = replayed[name].data.map((value, i) => Math.abs(value - tensors[name].data[i]!));
    // Rounding: the loop below computes with more digits than float32 has. One step of Adam is 2e-3.
    expect(Math.max(...differences), name).toBeLessThan(2e-5);
  }
}, 90_000);

/** The demo's worker processes, with `pslib` being the sources. */
async function runWorkersOf(url: string): Promise<void> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  vi.stubEnv('NODE_OPTIONS', '--import tsx');
  vi.stubEnv('TSX_TSCONFIG_PATH', join(root, 'tsconfig.json'));
  const finished = await runWorkers({
    url,
    workers: WORKERS,
    steps: STEPS,
    seed: SEED,
    validation: false,
    signal: new AbortController().signal,
    hasBegun: () => true,
    note: () => {},
  });
  expect(finished).toBe(WORKERS);
}

/** The parameters after the updates, each computed from the version that its delay says. */
function replay(initial: NetworkParameters, updates: readonly Update[]): NetworkParameters {
  const { training } = splitDigits(loadDigits());
  const batches = Array.from({ length: WORKERS }, (_, rank) =>
    shuffledBatches(partOf(training, rank, WORKERS), 32, randomFrom(SEED * WORKERS + rank)),
  );
  const versions = [initial];
  const adams = new Map(names.map((name) => [name, adamFor(initial[name].data.length)]));
  for (const { version, workers, delay } of updates) {
    const rank = Number(workers[0]?.replace('worker-', ''));
    const pulled = versions[version - 1 - delay]!;
    const { gradients } = gradient(pulled, batches[rank]!.next().value as Digits);
    const next = copyOf(versions[version - 1]!);
    for (const name of names) adams.get(name)!(next[name].data, gradients[name], version);
    versions.push(next);
  }
  return versions.at(-1)!;
}

/** Adam (Kingma and Ba 2015, algorithm 1), on its own. */
function adamFor(length: number): (values: Float32Array, gradient: Float32Array, step: number) => void {
  const [mean, meanSquare] = [new Float64Array(length), new Float64Array(length)];
  return (values, gradient, step) => {
    gradient.forEach((g, i) => {
      const m = 0.9 * mean[i]! + 0.1 * g;
      const v = 0.999 * meanSquare[i]! + 0.001 * g * g;
      mean[i] = m;
      meanSquare[i] = v;
      const deviation = Math.sqrt(v / (1 - 0.999 ** step)) + 1e-8;
      values[i] = values[i]! - (LEARNING_RATE * m) / (1 - 0.9 ** step) / deviation;
    });
  };
}

function copyOf(parameters: NetworkParameters): NetworkParameters {
  const entries = names.map((name) => {
    const { shape, data } = parameters[name];
    return [name, { shape, data: new Float32Array(data) }] as const;
  });
  return Object.fromEntries(entries) as Record<Name, (typeof entries)[number][1]>;
}
