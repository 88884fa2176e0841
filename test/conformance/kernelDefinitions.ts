/**
 * The formulas of `kernels.ts` once more, element by element, in an arithmetic whose every operation
 * rounds to float32. Slow and literal: the kernels of all implementations must give these bits.
 */
import type { AdamScalars, FtrlScalars, Kernels } from '../../src/core/kernels/kernels.js';

const f = Math.fround;
const add = (a: number, b: number): number => f(f(a) + f(b));
const subtract = (a: number, b: number): number => f(f(a) - f(b));
const multiply = (a: number, b: number): number => f(f(a) * f(b));
const divide = (a: number, b: number): number => f(f(a) / f(b));
const root = (a: number): number => f(Math.sqrt(f(a)));
const flush = (a: number): number => (Math.abs(a) < 2 ** -126 ? 0 : a);
const signed = (a: number, magnitude: number): number => {
  if (a === 0) return 0;
  return a < 0 ? -magnitude : magnitude;
};

/** One element before or after an update. */
interface Element {
  readonly p: number;
  readonly slots: readonly number[];
}

/** A kernel of an optimizer: how it is called, and what it must do to each element. */
export interface UpdateKernel {
  readonly name: string;
  readonly slotCount: number;
  call(
    kernels: Kernels,
    out: Float32Array,
    p: Float32Array,
    g: Float32Array,
    slots: readonly Float32Array[],
  ): void;
  define(p: number, g: number, slots: readonly number[]): Element;
}

type Slots1 = readonly [Float32Array];
type Slots2 = readonly [Float32Array, Float32Array];

function momentum(lr: number, mu: number): UpdateKernel {
  return {
    name: `momentum, lr ${lr}, μ ${mu}`,
    slotCount: 1,
    call: (kernels, out, p, g, slots) => kernels.momentum(out, p, g, (slots as Slots1)[0], lr, mu),
    define(p, g, [v = 0]) {
      const velocity = flush(subtract(multiply(mu, v), multiply(lr, g)));
      return { p: add(p, velocity), slots: [velocity] };
    },
  };
}

function nesterov(lr: number, mu: number): UpdateKernel {
  return {
    name: `nesterov, lr ${lr}, μ ${mu}`,
    slotCount: 1,
    call: (kernels, out, p, g, slots) => kernels.nesterov(out, p, g, (slots as Slots1)[0], lr, mu),
    define(p, g, [v = 0]) {
      const velocity = flush(subtract(multiply(mu, v), multiply(lr, g)));
      return { p: add(p, subtract(multiply(mu, velocity), multiply(lr, g))), slots: [velocity] };
    },
  };
}

function adagrad(lr: number, epsilon: number): UpdateKernel {
  return {
    name: `adagrad, lr ${lr}, ε ${epsilon}`,
    slotCount: 1,
    call: (kernels, out, p, g, slots) => kernels.adagrad(out, p, g, (slots as Slots1)[0], lr, epsilon),
    define(p, g, [a = 0]) {
      const sum = add(a, multiply(g, g));
      return { p: subtract(p, divide(multiply(lr, g), add(root(sum), epsilon))), slots: [sum] };
    },
  };
}

function rmsprop(lr: number, rho: number, epsilon: number): UpdateKernel {
  return {
    name: `rmsprop, lr ${lr}, ρ ${rho}, ε ${epsilon}`,
    slotCount: 1,
    call: (kernels, out, p, g, slots) => kernels.rmsprop(out, p, g, (slots as Slots1)[0], lr, rho, epsilon),
    define(p, g, [a = 0]) {
      const mean = flush(add(multiply(rho, a), multiply(subtract(1, rho), multiply(g, g))));
      return { p: subtract(p, divide(multiply(lr, g), add(root(mean), epsilon))), slots: [mean] };
    },
  };
}

function adam(scalars: AdamScalars): UpdateKernel {
  const { beta1, beta2, stepSize, rootCorrection, epsilon, decay } = scalars;
  return {
    name: `adam, ${JSON.stringify(scalars)}`,
    slotCount: 2,
    call: (kernels, out, p, g, slots) => kernels.adam(out, p, g, ...(slots as Slots2), scalars),
    define(p, g, [m = 0, v = 0]) {
      const first = flush(add(multiply(beta1, m), multiply(subtract(1, beta1), g)));
      const second = flush(add(multiply(beta2, v), multiply(subtract(1, beta2), multiply(g, g))));
      const denominator = add(multiply(root(second), rootCorrection), epsilon);
      const move = divide(multiply(stepSize, first), denominator);
      return {
        p: subtract(p, decay === 0 ? move : add(multiply(decay, p), move)),
        slots: [first, second],
      };
    },
  };
}

function ftrl(scalars: FtrlScalars): UpdateKernel {
  const { inverseRate: r, inverseRateChange: c, beta, l1, l2 } = scalars;
  return {
    name: `ftrl, ${JSON.stringify(scalars)}`,
    slotCount: 2,
    call: (kernels, out, p, g, slots) => kernels.ftrl(out, p, g, ...(slots as Slots2), scalars),
    define(p, g, [z = 0, n = 0]) {
      const s = root(n);
      const sum = add(n, multiply(g, g));
      const t = root(sum);
      const fresh = subtract(0, add(multiply(p, add(multiply(beta, r), l2)), signed(p, f(l1))));
      const z0 = s === 0 ? fresh : subtract(z, multiply(multiply(add(beta, s), c), p));
      const next = subtract(add(z0, g), multiply(multiply(subtract(t, s), r), p));
      const moved = divide(subtract(signed(next, f(l1)), next), add(multiply(add(beta, t), r), l2));
      const held = Math.abs(next) <= f(l1) ? 0 : moved;
      return { p: t === 0 ? p : held, slots: [next, sum] };
    },
  };
}

/** Every update kernel, with ordinary and with extreme scalars. */
export const UPDATE_KERNELS: readonly UpdateKernel[] = [
  {
    name: 'sgd, lr 0.1',
    slotCount: 0,
    call: (kernels, out, p, g) => kernels.sgd(out, p, g, 0.1),
    define: (p, g) => ({ p: subtract(p, multiply(0.1, g)), slots: [] }),
  },
  momentum(0.01, 0.9),
  momentum(0, 0),
  nesterov(0.01, 0.9),
  nesterov(3, 0.999),
  adagrad(0.01, 1e-10),
  adagrad(0.7, 0.3),
  rmsprop(0.001, 0.9, 1e-8),
  rmsprop(0.1, 0.999, 1e-3),
  adam({ beta1: 0.9, beta2: 0.999, stepSize: 0.01, rootCorrection: 31.6, epsilon: 1e-8, decay: 0 }),
  adam({ beta1: 0.9, beta2: 0.999, stepSize: 1e-3, rootCorrection: 1, epsilon: 1e-8, decay: 1e-5 }),
  adam({ beta1: 0, beta2: 0, stepSize: 0.1, rootCorrection: 1, epsilon: 1e-3, decay: 0.3 }),
  ftrl({ inverseRate: 10, inverseRateChange: 0, beta: 1, l1: 0, l2: 0 }),
  ftrl({ inverseRate: 2, inverseRateChange: 0.3, beta: 0.5, l1: 1.1, l2: 0.1 }),
  ftrl({ inverseRate: 7, inverseRateChange: -0.7, beta: 0, l1: 0.1, l2: 0 }),
];

/** A kernel that changes one array, with another or a number. */
export interface VectorKernel {
  readonly name: string;
  call(kernels: Kernels, values: Float32Array, others: Float32Array): void;
  define(value: number, other: number): number;
}

function clip(limit: number): VectorKernel {
  return {
    name: `clipValue ${limit}`,
    call: (kernels, values) => kernels.clipValue(values, limit),
    define: (value) => {
      if (Number.isNaN(value)) return value;
      return Math.abs(value) > f(limit) ? Math.sign(value) * f(limit) : value;
    },
  };
}

/** Every kernel that is neither an update nor a sum. */
export const VECTOR_KERNELS: readonly VectorKernel[] = [
  {
    name: 'copy',
    call: (kernels, values, others) => kernels.copy(values, others),
    define: (_, other) => other,
  },
  { name: 'add', call: (kernels, values, others) => kernels.add(values, others), define: add },
  { name: 'scale', call: (kernels, values) => kernels.scale(values, 0.3), define: (x) => multiply(x, 0.3) },
  { name: 'divide', call: (kernels, values) => kernels.divide(values, 3), define: (x) => divide(x, 3) },
  clip(1),
  clip(0.1),
  {
    name: 'zeroNonFinite',
    call: (kernels, values) => kernels.zeroNonFinite(values),
    define: (value) => (Number.isFinite(value) ? value : 0),
  },
];

/** `sumSquares` by its description: groups of 512 in 16 float32 lanes, blocks of 16,384, in float64. */
export function sumSquaresByDefinition(values: Float32Array, initial = 0): number {
  let total = initial;
  for (let begin = 0; begin < values.length; begin += 16_384) {
    const block = values.subarray(begin, begin + 16_384);
    const quick = sumOfBlock(block, 512);
    total += Number.isFinite(quick) ? quick : sumOfBlock(block, Infinity);
  }
  return total;
}

function sumOfBlock(block: Float32Array, groupLength: number): number {
  const sums = [0, 0, 0, 0];
  let at = 0;
  for (; at + groupLength <= block.length; at += groupLength) {
    const lanes = new Array<number>(16).fill(0);
    block.subarray(at, at + groupLength).forEach((x, i) => {
      lanes[i % 16] = add(lanes[i % 16] as number, multiply(x, x));
    });
    for (let j = 0; j < 4; j++) {
      const [a, b, c, d] = [0, 4, 8, 12].map((k) => lanes[j + k] as number) as [
        number,
        number,
        number,
        number,
      ];
      sums[j] = (sums[j] as number) + add(add(a, b), add(c, d));
    }
  }
  for (; at < block.length; at++) sums[at % 4] = (sums[at % 4] as number) + (block[at] as number) ** 2;
  const [d0, d1, d2, d3] = sums as [number, number, number, number];
  return d0 + d1 + (d2 + d3);
}
