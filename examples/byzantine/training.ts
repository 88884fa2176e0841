/**
 * One training of the digits' network by five workers under BSP, one of which does not want it to succeed: it turns
 * its gradients round. Everything runs in this process, and depends on the seed alone.
 */
import { adam, bsp, type Consistency, ParameterServer, Worker } from 'pslib';
import { type Digits, partOf, type Split, shuffledBatches } from '../digits/data.js';
import { accuracy, gradient, type NetworkParameters, networkParameters } from '../digits/network.js';
import { randomFrom } from '../digits/random.js';
import { BATCH_SIZE, fallingRate, LEARNING_RATE } from '../digits/settings.js';

const WORKERS = 5;

/** How one training differs from another. */
export interface Setting {
  /** How a clock's updates become one. */
  readonly aggregate: 'mean' | 'median' | 'trimmedMean' | 'krum';
  /** What the first worker multiplies its gradients by; 1: it is honest. */
  readonly factor: number;
  readonly steps: number;
  readonly seed: number;
}

/** The accuracy on the test digits, 0 to 1. A network that has diverged reads nothing. */
export async function trainedAccuracy(digits: Split, setting: Setting): Promise<number> {
  const { steps, seed } = setting;
  const server = new ParameterServer({
    parameters: networkParameters,
    optimizer: adam({ learningRate: fallingRate(LEARNING_RATE, steps) }),
    consistency: modelOf(setting),
    minWorkers: WORKERS,
    seed,
    port: 0,
  });
  await server.listen();
  try {
    const ranks = Array.from({ length: WORKERS }, (_, rank) => rank);
    await Promise.all(ranks.map((rank) => work(server.url, rank, digits.training, setting)));
    const { tensors } = await server.parameters();
    return accuracyOf(tensors, digits.test);
  } finally {
    await server.close();
  }
}

function modelOf({ aggregate }: Setting): Consistency {
  return aggregate === 'mean' ? bsp() : bsp({ aggregate, faultyShare: 1 / WORKERS });
}

async function work(url: string, rank: number, training: Digits, setting: Setting): Promise<void> {
  const part = partOf(training, rank, WORKERS);
  const batches = shuffledBatches(part, BATCH_SIZE, randomFrom(setting.seed * WORKERS + rank));
  const worker = new Worker<typeof networkParameters>(url, { id: `worker-${rank}` });
  await worker.run(
    (parameters, batch) => {
      const { gradients } = gradient(parameters, batch);
      if (rank === 0) for (const each of Object.values(gradients)) scale(each, setting.factor);
      return { gradients };
    },
    { data: batches, steps: setting.steps },
  );
  await worker.close();
}

function accuracyOf(tensors: NetworkParameters, test: Digits): number {
  const isWhole = Object.values(tensors).every(({ data }) => data.every(Number.isFinite));
  return isWhole ? accuracy(tensors, test) : 0;
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
}
