/**
 * The kernels in WebAssembly SIMD: each calls the module's function of its name with the addresses of its
 * arrays. Arrays outside the memory pass through it block by block.
 *
 * A call on arrays in the memory allocates nothing: models of many small tensors make many calls.
 */
import type { Kernels } from './kernels.js';
import type { WasmArena } from './wasmArena.js';
import type { WasmExports } from './wasmModule.js';
import { WasmScratch } from './wasmScratch.js';

/** The kernels of an instance of the module. */
export class WasmKernels implements Kernels {
  readonly name = 'wasm';
  readonly #wasm: WasmExports;
  readonly #buffer: ArrayBuffer;
  readonly #scratch: WasmScratch;

  /** `wasm`: an instance on the memory of `arena`. */
  constructor(wasm: WasmExports, arena: WasmArena) {
    this.#wasm = wasm;
    this.#buffer = arena.buffer;
    this.#scratch = new WasmScratch(arena);
  }

  readonly copy: Kernels['copy'] = (out, x) => {
    out.set(x);
  };

  readonly add: Kernels['add'] = (accumulator, x) => {
    const wasm = this.#wasm;
    const { length } = accumulator;
    if (this.#isHere(accumulator, length) && this.#isHere(x, length)) {
      wasm.add(accumulator.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('ur', [accumulator, x], (n, a, b) => wasm.add(a, b, n));
    }
  };

  readonly scale: Kernels['scale'] = (values, factor) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.scale(values.byteOffset, values.length, factor);
    else this.#scratch.run('u', [values], (n, a) => wasm.scale(a, n, factor));
  };

  readonly divide: Kernels['divide'] = (values, divisor) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.divide(values.byteOffset, values.length, divisor);
    else this.#scratch.run('u', [values], (n, a) => wasm.divide(a, n, divisor));
  };

  readonly clipValue: Kernels['clipValue'] = (values, limit) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.clipValue(values.byteOffset, values.length, limit);
    else this.#scratch.run('u', [values], (n, a) => wasm.clipValue(a, n, limit));
  };

  readonly zeroNonFinite: Kernels['zeroNonFinite'] = (values) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.zeroNonFinite(values.byteOffset, values.length);
    else this.#scratch.run('u', [values], (n, a) => wasm.zeroNonFinite(a, n));
  };

  readonly toBfloat16: Kernels['toBfloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.toBfloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], (n, a, b) => wasm.toBfloat16(a, b, n));
    }
  };

  readonly fromBfloat16: Kernels['fromBfloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.fromBfloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], (n, a, b) => wasm.fromBfloat16(a, b, n));
    }
  };

  readonly toFloat16: Kernels['toFloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.toFloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], (n, a, b) => wasm.toFloat16(a, b, n));
    }
  };

  readonly fromFloat16: Kernels['fromFloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.fromFloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], (n, a, b) => wasm.fromFloat16(a, b, n));
    }
  };

  readonly sumSquares: Kernels['sumSquares'] = (values, initial = 0) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) {
      return wasm.sumSquares(values.byteOffset, values.length, initial);
    }
    let total = initial;
    this.#scratch.forEachBlock(values, (address, length) => {
      total = wasm.sumSquares(address, length, total);
    });
    return total;
  };

  readonly sgd: Kernels['sgd'] = (out, parameter, gradient, learningRate) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(parameter, length) && this.#isHere(gradient, length)) {
      wasm.sgd(out.byteOffset, parameter.byteOffset, gradient.byteOffset, length, learningRate);
    } else {
      const arrays = [out, parameter, gradient];
      this.#scratch.run('wrr', arrays, (n, o, p, g) => wasm.sgd(o, p, g, n, learningRate));
    }
  };

  readonly momentum: Kernels['momentum'] = (out, parameter, gradient, velocity, learningRate, momentum) => {
    const wasm = this.#wasm;
    if (this.#areHere(out, parameter, gradient, velocity)) {
      const [o, p, g, v] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset, velocity.byteOffset];
      wasm.momentum(o, p, g, v, out.length, learningRate, momentum);
    } else {
      const arrays = [out, parameter, gradient, velocity];
      this.#scratch.run('wrru', arrays, (n, o, p, g, v) =>
        wasm.momentum(o, p, g, v, n, learningRate, momentum),
      );
    }
  };

  readonly nesterov: Kernels['nesterov'] = (out, parameter, gradient, velocity, learningRate, momentum) => {
    const wasm = this.#wasm;
    if (this.#areHere(out, parameter, gradient, velocity)) {
      const [o, p, g, v] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset, velocity.byteOffset];
      wasm.nesterov(o, p, g, v, out.length, learningRate, momentum);
    } else {
      const arrays = [out, parameter, gradient, velocity];
      this.#scratch.run('wrru', arrays, (n, o, p, g, v) =>
        wasm.nesterov(o, p, g, v, n, learningRate, momentum),
      );
    }
  };

  readonly adagrad: Kernels['adagrad'] = (out, parameter, gradient, accumulator, learningRate, epsilon) => {
    const wasm = this.#wasm;
    if (this.#areHere(out, parameter, gradient, accumulator)) {
      const [o, p, g] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset];
      wasm.adagrad(o, p, g, accumulator.byteOffset, out.length, learningRate, epsilon);
    } else {
      const arrays = [out, parameter, gradient, accumulator];
      this.#scratch.run('wrru', arrays, (n, o, p, g, a) =>
        wasm.adagrad(o, p, g, a, n, learningRate, epsilon),
      );
    }
  };

  readonly rmsprop: Kernels['rmsprop'] = (
    out,
    parameter,
    gradient,
    meanSquare,
    learningRate,
    rho,
    epsilon,
  ) => {
    const wasm = this.#wasm;
    if (this.#areHere(out, parameter, gradient, meanSquare)) {
      const [o, p, g] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset];
      wasm.rmsprop(o, p, g, meanSquare.byteOffset, out.length, learningRate, rho, epsilon);
    } else {
      const arrays = [out, parameter, gradient, meanSquare];
      this.#scratch.run('wrru', arrays, (n, o, p, g, a) =>
        wasm.rmsprop(o, p, g, a, n, learningRate, rho, epsilon),
      );
    }
  };

  readonly adam: Kernels['adam'] = (out, parameter, gradient, firstMoment, secondMoment, scalars) => {
    const wasm = this.#wasm;
    const { beta1, beta2, stepSize, rootCorrection, epsilon, decay } = scalars;
    const run = (n: number, o: number, p: number, g: number, m: number, v: number): void =>
      wasm.adam(o, p, g, m, v, n, beta1, beta2, stepSize, rootCorrection, epsilon, decay);
    if (this.#areHere(out, parameter, gradient, firstMoment) && this.#isHere(secondMoment, out.length)) {
      const [o, p, g] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset];
      run(out.length, o, p, g, firstMoment.byteOffset, secondMoment.byteOffset);
    } else {
      this.#scratch.run('wrruu', [out, parameter, gradient, firstMoment, secondMoment], run);
    }
  };

  readonly ftrl: Kernels['ftrl'] = (out, parameter, gradient, z, n, scalars) => {
    const wasm = this.#wasm;
    const { inverseRate, inverseRateChange, beta, l1, l2 } = scalars;
    const run = (length: number, o: number, p: number, g: number, zs: number, ns: number): void =>
      wasm.ftrl(o, p, g, zs, ns, length, inverseRate, inverseRateChange, beta, l1, l2);
    if (this.#areHere(out, parameter, gradient, z) && this.#isHere(n, out.length)) {
      const [o, p, g] = [out.byteOffset, parameter.byteOffset, gradient.byteOffset];
      run(out.length, o, p, g, z.byteOffset, n.byteOffset);
    } else {
      this.#scratch.run('wrruu', [out, parameter, gradient, z, n], run);
    }
  };

  /** Whether `array` may be handed over by its address. Of unequal lengths, none may. */
  #isHere(array: Float32Array | Uint16Array, length: number): boolean {
    return array.buffer === this.#buffer && array.length === length;
  }

  #areHere(a: Float32Array, b: Float32Array, c: Float32Array, d: Float32Array): boolean {
    const { length } = a;
    return (
      this.#isHere(a, length) && this.#isHere(b, length) && this.#isHere(c, length) && this.#isHere(d, length)
    );
  }
}
