/**
 * The kernels on arrays of given lengths, in plain JavaScript, in WASM and in C (`c/kernels.c`): each subject
 * prepares the same arrays, runs one kernel on them, and tells how much processor time it took and what came out.
 */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Kernels } from '../src/core/kernels/kernels.js';
import { type KernelMemory, loadKernels } from '../src/core/kernels/loadKernels.js';
import { referenceKernels } from '../src/core/kernels/reference.js';
import { Child } from './childProcess.js';
import { numberIn } from './lines.js';

/** One implementation of the kernels, on arrays of its own. */
export interface KernelSubject {
  readonly name: string;
  /** Fills the arrays anew for runs of `kernel` on `elements`. */
  prepare(kernel: KernelName, elements: number): void | Promise<void>;
  /** Runs the kernel so many times; returns the processor time of that in nanoseconds: others may use it beside. */
  run(times: number): number | Promise<number>;
  /** 32 bits from every bit of the arrays, and the last sum. */
  digest(): number | Promise<number>;
  close?(): Promise<void>;
}

/** Parameter, gradient and two slots; halves stand in the first slot's place. */
interface Arrays {
  readonly p: Float32Array;
  readonly g: Float32Array;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly halves: Uint16Array;
}

const ADAM = { beta1: 0.9, beta2: 0.999, stepSize: 0.001, rootCorrection: 31.6, epsilon: 1e-8, decay: 0 };
const FTRL = { inverseRate: 1000, inverseRateChange: 0, beta: 1, l1: 0.001, l2: 0.01 };

/** Every kernel: how it is called here, in place where it may be, and how many bytes it moves per element. */
export const KERNELS = {
  copy: { bytes: 8, call: (k, { p, g }) => k.copy(p, g) },
  add: { bytes: 12, call: (k, { p, g }) => k.add(p, g) },
  scale: { bytes: 8, call: (k, { p }) => k.scale(p, 1.0000001) },
  divide: { bytes: 8, call: (k, { p }) => k.divide(p, 1.0000001) },
  clipValue: { bytes: 8, call: (k, { p }) => k.clipValue(p, 0.5) },
  zeroNonFinite: { bytes: 8, call: (k, { p }) => k.zeroNonFinite(p) },
  toBfloat16: { bytes: 6, call: (k, { g, halves }) => k.toBfloat16(halves, g) },
  fromBfloat16: { bytes: 6, call: (k, { p, halves }) => k.fromBfloat16(p, halves) },
  toFloat16: { bytes: 6, call: (k, { g, halves }) => k.toFloat16(halves, g) },
  fromFloat16: { bytes: 6, call: (k, { p, halves }) => k.fromFloat16(p, halves) },
  sumSquares: { bytes: 4, call: (k, { g }) => k.sumSquares(g) },
  sgd: { bytes: 12, call: (k, { p, g }) => k.sgd(p, p, g, 0.001) },
  momentum: { bytes: 20, call: (k, { p, g, a }) => k.momentum(p, p, g, a, 0.001, 0.9) },
  nesterov: { bytes: 20, call: (k, { p, g, a }) => k.nesterov(p, p, g, a, 0.001, 0.9) },
  adagrad: { bytes: 20, call: (k, { p, g, a }) => k.adagrad(p, p, g, a, 0.001, 1e-10) },
  rmsprop: { bytes: 20, call: (k, { p, g, a }) => k.rmsprop(p, p, g, a, 0.001, 0.9, 1e-8) },
  adam: { bytes: 28, call: (k, { p, g, a, b }) => k.adam(p, p, g, a, b, ADAM) },
  ftrl: { bytes: 28, call: (k, { p, g, a, b }) => k.ftrl(p, p, g, a, b, FTRL) },
} as const satisfies Record<string, { bytes: number; call: (kernels: Kernels, arrays: Arrays) => unknown }>;

/** The name of a kernel, as in `Kernels`. */
export type KernelName = keyof typeof KERNELS;

/** The kernels in plain JavaScript. */
export function javascriptSubject(): KernelSubject {
  const memory: KernelMemory = {
    kernels: referenceKernels,
    allocate: (length) => new Float32Array(length),
    release: () => {},
  };
  return new LocalSubject('JavaScript', memory);
}

/** The WASM kernels, or undefined where they can't be loaded. */
export function wasmSubject(): KernelSubject | undefined {
  const memory = loadKernels();
  return memory.kernels.name === 'wasm' ? new LocalSubject('WASM', memory) : undefined;
}

/** The WASM kernels on arrays outside their memory: all of them, or the gradient. */
export function outsideSubject(which: 'all' | 'gradient'): KernelSubject | undefined {
  const memory = loadKernels();
  if (memory.kernels.name !== 'wasm') return undefined;
  const outside = (length: number): Float32Array => new Float32Array(length);
  return new LocalSubject(`WASM, ${which} outside`, memory, (array) =>
    which === 'all' || array === 'g' ? outside : memory.allocate,
  );
}

/** Kernels in this process. */
class LocalSubject implements KernelSubject {
  readonly name: string;
  readonly #memory: KernelMemory;
  readonly #placeOf: (array: 'p' | 'g' | 'a' | 'b') => (length: number) => Float32Array;
  #arrays: Arrays | undefined;
  #kernel: KernelName = 'copy';
  #sum = 0;

  constructor(
    name: string,
    memory: KernelMemory,
    placeOf: (array: 'p' | 'g' | 'a' | 'b') => (length: number) => Float32Array = () => memory.allocate,
  ) {
    this.name = name;
    this.#memory = memory;
    this.#placeOf = placeOf;
  }

  prepare(kernel: KernelName, elements: number): void {
    for (const array of this.#floats()) this.#memory.release(array);
    const fill = (array: 'p' | 'g' | 'a' | 'b', valueAt: (i: number) => number): Float32Array => {
      const values = this.#placeOf(array)(elements);
      for (let i = 0; i < elements; i++) values[i] = valueAt(i);
      return values;
    };
    const p = fill('p', (i) => 2 * unit(i, 0) - 1);
    const g = fill('g', (i) => (2 * unit(i, 1) - 1) / 16);
    const a = fill('a', (i) => unit(i, 2) / 2 ** 8);
    const b = fill('b', (i) => unit(i, 3) / 2 ** 16);
    this.#arrays = { p, g, a, b, halves: new Uint16Array(a.buffer, a.byteOffset, elements) };
    this.#kernel = kernel;
    this.#sum = 0;
  }

  run(times: number): number {
    const { call } = KERNELS[this.#kernel];
    const begin = process.cpuUsage();
    for (let i = 0; i < times; i++) {
      const result: unknown = call(this.#memory.kernels, this.#arrays as Arrays);
      if (typeof result === 'number') this.#sum = result;
    }
    const { user, system } = process.cpuUsage(begin);
    return (user + system) * 1e3;
  }

  digest(): number {
    let hash = 2166136261;
    const mix = (word: number): void => {
      hash = Math.imul(hash ^ word, 16777619);
    };
    for (const { buffer, byteOffset, length } of this.#floats()) {
      const words = new Uint32Array(buffer, byteOffset, length);
      for (let i = 0; i < length; i++) mix(words[i] as number);
    }
    new Uint32Array(Float64Array.of(this.#sum).buffer).forEach(mix);
    return hash >>> 0;
  }

  #floats(): Float32Array[] {
    if (this.#arrays === undefined) return [];
    const { p, g, a, b } = this.#arrays;
    return [p, g, a, b];
  }
}

/** The same as in c/kernels.c: [0, 1) in steps of 2^-24. */
function unit(i: number, array: number): number {
  let x = (Math.imul(i, 2654435761) + Math.imul(array, 2246822519)) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 739982445);
  x = Math.imul(x ^ (x >>> 12), 695872825);
  return ((x ^ (x >>> 15)) >>> 8) / 2 ** 24;
}

/** Contraction would give other bits; errno would cost a call for each root, and no user of C wants it. */
const C_FLAGS = ['-O3', '-march=native', '-ffp-contract=off', '-fno-math-errno'];

/**
 * The kernels in C, or undefined where there is no compiler that can do this. `width`: `'any'`, as the compiler
 * thinks best, or `'128'`, the width of WASM SIMD (where it can be told to).
 */
export async function cSubject(buildDir: string, width: 'any' | '128'): Promise<KernelSubject | undefined> {
  const program = join(buildDir, `kernels-${width}`);
  const flags = width === 'any' ? C_FLAGS : [...C_FLAGS, '-mprefer-vector-width=128'];
  const source = fileURLToPath(new URL('c/kernels.c', import.meta.url));
  await mkdir(buildDir, { recursive: true });
  try {
    await promisify(execFile)('cc', [...flags, '-o', program, source, '-lm']);
  } catch {
    return undefined;
  }
  const name = width === 'any' ? 'C' : 'C, 128 bits';
  const child = new Child(name, [program]);
  return {
    name,
    prepare: async (kernel, elements) => {
      await child.ask(`prepare ${kernel} ${elements}`);
    },
    run: async (times) => numberIn(await child.ask(`run ${times}`), 'ns'),
    digest: async () => numberIn(await child.ask('digest'), 'digest'),
    close: () => child.end(),
  };
}
