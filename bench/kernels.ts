/**
 * Speed of the kernels, one thread: billions of elements per second, median, lowest and highest of several
 * repetitions, the kernels taken in turn. Before a kernel is timed its result is compared with its formula.
 *
 *     npx tsx bench/kernels.ts [elements]
 */
import { pathToFileURL } from 'node:url';
import type { Kernels } from '../src/core/kernels/kernels.js';
import { referenceKernels } from '../src/core/kernels/reference.js';

const REPETITIONS = 15;
const RATE = 1e-6;

/** One measured kernel; rates in 1e9 elements per second. */
export interface KernelRate {
  readonly implementation: string;
  readonly kernel: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A kernel on arrays of its own, and what its first element must be after the first call. */
interface Subject {
  readonly kernel: string;
  run(): void;
  /** The relative error of the first call's result. */
  error(): number;
}

function subjectsOf(kernels: Kernels, elements: number): Subject[] {
  const wave = (scale: number): Float32Array =>
    Float32Array.from({ length: elements }, (_, i) => scale * Math.cos(i % 1000));
  const zeros = (): Float32Array => new Float32Array(elements);
  const g = wave(0.1);
  const g0 = g[0] as number;

  const update = (kernel: string, move: number, run: (p: Float32Array) => void): Subject => {
    const p = wave(1);
    return { kernel, run: () => run(p), error: () => Math.abs((p[0] as number) / (1 + move) - 1) };
  };
  const [velocity, lookAhead, squares, mean, m, v, z, n] = Array.from(
    { length: 8 },
    zeros,
  ) as Float32Array[] as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  let sum = 0;
  const moments = { beta1: 0.9, beta2: 0.999, stepSize: RATE / 0.1, rootCorrection: 1 / Math.sqrt(0.001) };
  const ftrl = { inverseRate: 1 / RATE, inverseRateChange: 0, beta: 1, l1: 0, l2: 0 };
  return [
    {
      kernel: 'sumSquares',
      run: () => {
        sum = kernels.sumSquares(g);
      },
      error: () => Math.abs(sum / g.reduce((total, x) => total + x * x, 0) - 1),
    },
    update('add', g0, (p) => kernels.add(p, g)),
    update('sgd', -RATE * g0, (p) => kernels.sgd(p, p, g, RATE)),
    update('momentum', -RATE * g0, (p) => kernels.momentum(p, p, g, velocity, RATE, 0.9)),
    update('nesterov', -1.9 * RATE * g0, (p) => kernels.nesterov(p, p, g, lookAhead, RATE, 0.9)),
    update('adagrad', -RATE, (p) => kernels.adagrad(p, p, g, squares, RATE, 1e-10)),
    update('rmsprop', -RATE / Math.sqrt(0.1), (p) => kernels.rmsprop(p, p, g, mean, RATE, 0.9, 1e-8)),
    update('adam', -RATE, (p) => kernels.adam(p, p, g, m, v, { ...moments, epsilon: 1e-8, decay: 0 })),
    update('ftrl', (-RATE * g0) / (1 + g0), (p) => kernels.ftrl(p, p, g, z, n, ftrl)),
  ];
}

/** Measures every kernel of `kernels` on arrays of `elements`. Throws if one computes something else. */
export function measureKernels(kernels: Kernels, elements: number): KernelRate[] {
  const subjects = subjectsOf(kernels, elements);
  for (const { kernel, run, error } of subjects) {
    run();
    if (!(error() < 1e-6)) throw new Error(`${kernels.name} ${kernel}: relative error ${error()}`);
  }
  const rates = subjects.map((): number[] => []);
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    subjects.forEach(({ run }, i) => {
      const begin = performance.now();
      run();
      rates[i]?.push(elements / (performance.now() - begin) / 1e6);
    });
  }
  return subjects.map(({ kernel }, i) => {
    const sorted = (rates[i] as number[]).sort((a, b) => a - b) as [number, ...number[]];
    const median = sorted[REPETITIONS >> 1] as number;
    return { implementation: kernels.name, kernel, median, min: sorted[0], max: sorted.at(-1) as number };
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const elements = Number(process.argv[2] ?? 4_000_000);
  console.log(`${elements} elements, ${REPETITIONS} repetitions, 1e9 elements/s: median (min to max)`);
  for (const { implementation, kernel, median, min, max } of measureKernels(referenceKernels, elements)) {
    console.log(
      `${implementation} ${kernel.padEnd(10)} ${median.toFixed(3)} (${min.toFixed(3)} to ${max.toFixed(3)})`,
    );
  }
}
