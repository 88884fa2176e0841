/** TensorFlow.js models as models of pslib: the same gradients, no tensor left behind, and back into a model. */
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadDigits, pick, splitDigits } from '../../../examples/digits/data.js';
import { gradient } from '../../../examples/digits/network.js';
import { ParameterServer, ssp, Worker } from '../../../src/index.js';
import { fromLayersModel, type LayersBatch } from '../../../src/tfjs.js';

const { training: digits, test: judges } = splitDigits(loadDigits());
const loss = 'sparseCategoricalCrossentropy';
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function makeModel(hidden = 64): tf.LayersModel {
  const first = tf.layers.dense({ units: hidden, activation: 'tanh', inputShape: [64] });
  return tf.sequential({ layers: [first, tf.layers.dense({ units: 10, activation: 'softmax' })] });
}

/** A batch of 32 digits as flat arrays. */
function batchAt(step: number): LayersBatch {
  const from = (step * 32) % (digits.labels.length - 32);
  const { images, labels } = pick(
    digits,
    Array.from({ length: 32 }, (_, i) => from + i),
  );
  return { xs: images.data, ys: labels };
}

function shareOfRight(model: tf.LayersModel): number {
  return tf.tidy(() => {
    const outputs = model.predict(tf.tensor(judges.images.data, [judges.labels.length, 64])) as tf.Tensor;
    return outputs.argMax(-1).equal(tf.tensor1d(judges.labels, 'int32')).mean().dataSync()[0] as number;
  });
}

async function serve(
  options: Partial<ConstructorParameters<typeof ParameterServer>[0]>,
): Promise<ParameterServer> {
  const server = new ParameterServer({ parameters: {}, port: 0, ...options } as never) as ParameterServer;
  ends.push(() => server.close());
  await server.listen();
  return server;
}

function start(url: string | undefined): Worker {
  const worker = new Worker(url as string);
  ends.push(() => worker.close());
  return worker;
}

const context = { step: 0, clock: 0, signal: new AbortController().signal };
const tensorsOf = ({ snapshot }: ReturnType<typeof fromLayersModel>) => snapshot().tensors;

beforeAll(() => tf.setBackend('cpu'));

describe('fromLayersModel', () => {
  it('gives shapes and first values, by names that every copy of the model has', () => {
    const [one, other] = [makeModel(), makeModel()].map(
      (model) => fromLayersModel(model, { loss }).parameters,
    );
    const shapes = Object.entries(one ?? {}).map(([name, { shape }]) => [name, shape]);
    expect(shapes).toEqual([
      ['0.dense/kernel', [64, 64]],
      ['0.dense/bias', [64]],
      ['1.dense/kernel', [64, 10]],
      ['1.dense/bias', [10]],
    ]);
    expect(Object.keys(other ?? {})).toEqual(Object.keys(one ?? {}));
    expect(new Set(one?.['0.dense/kernel']?.data).size).toBeGreaterThan(1000);
  });

  it('computes the gradients that the same network written by hand has', async () => {
    const training = fromLayersModel(makeModel(), { loss });
    const tensors = tensorsOf(training);
    const batch = pick(digits, [0, 1, 2, 3, 4, 5, 6, 7]);
    const result = await training.gradientFn(tensors, { xs: batch.images.data, ys: batch.labels }, context);
    const [hiddenKernel, hiddenBias, outputKernel, outputBias] = Object.values(tensors) as never[];
    const byHand = gradient({ hiddenKernel, hiddenBias, outputKernel, outputBias } as never, batch);
    expect(result.metrics?.loss).toBeCloseTo(byHand.loss, 5);
    expect(result.examples).toBe(8);
    const expected = ['hiddenKernel', 'hiddenBias', 'outputKernel', 'outputBias'] as const;
    Object.values(result.gradients).forEach((values, i) => {
      const reference = byHand.gradients[expected[i] as (typeof expected)[number]];
      expect(values).toHaveLength(reference.length);
      (values as Float32Array).forEach((each, j) => {
        expect(Math.abs(each - (reference[j] as number))).toBeLessThan(1e-6);
      });
    });
  });

  it('trains with several workers, leaves no tensor behind, and its result goes back into the model', async () => {
    const model = makeModel();
    const { parameters, optimizer, load } = fromLayersModel(model, { loss, optimizer: tf.train.adam(0.01) });
    const server = await serve({ parameters, optimizer, consistency: ssp({ staleness: 3 }), minWorkers: 2 });
    const before = shareOfRight(model);
    const seen: number[] = [];
    const run = async (rank: number) => {
      const { gradientFn } = fromLayersModel(makeModel(), { loss });
      const worker = start(server.url);
      worker.on('step', () => void seen.push(tf.memory().numTensors));
      await worker.run(gradientFn, { data: (step) => batchAt(2 * step + rank), steps: 60 });
    };
    await Promise.all([run(0), run(1)]);
    const count = tf.memory().numTensors;
    // In the middle of another worker's step its own tensors are there; no more are from step to step.
    expect(Math.max(...seen.slice(60))).toBeLessThanOrEqual(Math.max(...seen.slice(0, 60)));
    load(await server.parameters());
    expect(tf.memory().numTensors).toBe(count);
    expect(before).toBeLessThan(0.5);
    expect(shareOfRight(model)).toBeGreaterThan(0.8);
    expect(tf.memory().numTensors).toBe(count);
  });

  it('takes tensors, which stay the caller’s, and several inputs and outputs with a loss each', async () => {
    const [a, b] = [tf.input({ shape: [2] }), tf.input({ shape: [3] })];
    const joined = tf.layers.concatenate().apply([a, b]) as tf.SymbolicTensor;
    const outputs = [1, 4].map((units) => tf.layers.dense({ units }).apply(joined) as tf.SymbolicTensor);
    const model = tf.model({ inputs: [a, b], outputs });
    const training = fromLayersModel(model, {
      loss: ['meanSquaredError', (targets, outs) => tf.losses.meanSquaredError(targets, outs)],
    });
    const xs = [tf.ones([5, 2]), tf.ones([5, 3])];
    const ys = [tf.zeros([5, 1]), new Float32Array(20)];
    const { numTensors } = tf.memory();
    const { gradients, examples } = await training.gradientFn(tensorsOf(training), { xs, ys }, context);
    expect(examples).toBe(5);
    expect(Object.keys(gradients)).toHaveLength(4);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(xs[0]?.isDisposed).toBe(false);
  });

  it('adds what regularizers add, and has no gradients for weights that are not trainable', async () => {
    const kernelRegularizer = tf.regularizers.l2({ l2: 1 });
    const layers = [
      tf.layers.dense({ units: 3, inputShape: [2], useBias: false, kernelRegularizer }),
      tf.layers.batchNormalization(),
    ];
    const training = fromLayersModel(tf.sequential({ layers }), { loss: 'meanSquaredError' });
    expect(training.parameters['1.batchNormalization/moving_mean']?.trainable).toBe(false);
    const tensors = tensorsOf(training);
    const batch = { xs: new Float32Array(4), ys: new Float32Array(6) };
    const { gradients } = await training.gradientFn(tensors, batch, context);
    expect(Object.keys(gradients).sort()).toEqual([
      '0.dense/kernel',
      '1.batchNormalization/beta',
      '1.batchNormalization/gamma',
    ]);
    // With inputs of zero only the penalty is left: its gradient is 2 w.
    const kernel = tensors['0.dense/kernel']?.data ?? [];
    (gradients['0.dense/kernel'] as Float32Array).forEach((each, i) => {
      expect(each).toBeCloseTo(2 * (kernel[i] as number), 4);
    });
  });
});

describe('between models and servers', () => {
  it('a model goes into a server and comes out again with the same bits', async () => {
    const [one, other] = [makeModel(), makeModel()].map((model) => fromLayersModel(model, { loss }));
    if (one === undefined || other === undefined) throw new Error('two models');
    const server = await serve({ parameters: one.parameters });
    await server.load(other.snapshot());
    one.load(await server.parameters());
    expect(tensorsOf(one)).toEqual(tensorsOf(other));
  });

  it.each([
    [
      'of another shape',
      () => makeModel(32),
      '"0.dense/kernel" has shape [64, 32] in the model and [64, 64] on the server',
    ],
    [
      'with a layer more',
      () => tf.sequential({ layers: [...makeModel().layers, tf.layers.dense({ units: 2 })] }),
      'the model has "2.dense/kernel", which is not among the server\'s parameters',
    ],
    [
      'with a layer less',
      () => tf.sequential({ layers: [tf.layers.dense({ units: 64, inputShape: [64] })] }),
      'the server has "1.dense/kernel", which the model does not have',
    ],
  ])('a model %s ends the run with an error that says so, and leaves no tensor', async (_, other, text) => {
    const server = await serve({ parameters: fromLayersModel(makeModel(), { loss }).parameters });
    const { gradientFn } = fromLayersModel(other(), { loss: 'meanSquaredError' });
    const { numTensors } = tf.memory();
    const run = start(server.url).run(gradientFn, { data: batchAt, steps: 1 });
    await expect(run).rejects.toMatchObject({
      code: 'PS_MODEL_MISMATCH',
      message: expect.stringContaining(text),
    });
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(server.stats().version).toBe(0);
  });
});

describe('wrong arguments', () => {
  it.each([
    ['model', () => fromLayersModel({} as never, { loss })],
    ['loss', () => fromLayersModel(makeModel(), { loss: 'crossentropy' as never })],
    ['loss', () => fromLayersModel(makeModel(), { loss: [loss, loss] })],
    ['optimizer', () => fromLayersModel(makeModel(), { loss, optimizer: tf.train.adamax(0.1) })],
    ['optimizer', () => fromLayersModel(makeModel(), { loss, optimizer: 'adam' as never })],
  ])('%s is named', (option, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }));
  });

  it.each([
    ['batch.xs', { xs: new Float32Array(65), ys: new Uint8Array(1) }],
    ['batch.xs', { xs: [], ys: new Uint8Array(1) }],
    ['batch.ys', { xs: new Float32Array(128), ys: new Uint8Array(3) }],
    ['batch.xs', { xs: 3, ys: 4 }],
    ['batch.xs', undefined],
  ])('%s is named (%#)', async (option, batch) => {
    const training = fromLayersModel(makeModel(), { loss });
    const { numTensors } = tf.memory();
    const result = (async () => training.gradientFn(tensorsOf(training), batch as never, context))();
    await expect(result).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option } });
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('optimizers of tfjs become those of the server', () => {
    const { train } = tf;
    const given = [
      train.sgd(0.1),
      train.momentum(0.1, 0.8),
      train.momentum(0.1, 0.8, true),
      train.rmsprop(0.1),
      train.adam(0.1),
      train.adagrad(0.1),
    ];
    const names = given.map((optimizer) => fromLayersModel(makeModel(), { loss, optimizer }).optimizer);
    expect(names).toMatchObject([
      { name: 'sgd', learningRate: 0.1 },
      { name: 'momentum', momentum: 0.8 },
      { name: 'nesterov', momentum: 0.8 },
      { name: 'rmsprop', rho: 0.9, epsilon: 1e-7 },
      { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
      { name: 'adagrad', initialAccumulator: expect.closeTo(0.1, 6) },
    ]);
  });
});
