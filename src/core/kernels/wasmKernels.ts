/**
 * The kernels in WebAssembly SIMD: each calls the module's function of its name with the addresses of its
 * arrays. Arrays outside the memory pass through it block by block.
 *
 * A call on arrays in the memory allocates nothing: models of many small tensors make many calls.
 */
import type { Kernels } from './kernels.js';
import type { WasmArena } from './wasmArena.js';
import type { WasmExports } from './wasmModule.js';
import { WasmRows } from './wasmRows.js';
import { WasmScratch } from './wasmScratch.js';

/** The kernels of an instance of the module. */
export class WasmKernels implements Kernels {
  readonly name = 'wasm';
  readonly #wasm: WasmExports;
  readonly #buffer: ArrayBuffer;
  readonly #scratch: WasmScratch;
  readonly gatherRows: Kernels['gatherRows'];
  readonly scatterRows: Kernels['scatterRows'];

  /** `wasm`: an instance on the memory of `arena`. */
  constructor(wasm: WasmExports, arena: WasmArena) {
    this.#wasm = wasm;
    this.#buffer = arena.buffer;
    this.#scratch = new WasmScratch(arena);
    const rows = new WasmRows(wasm, arena);
    this.gatherRows = rows.gatherRows;
    this.scatterRows = rows.scatterRows;
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
      this.#scratch.run('ur', [accumulator, x], wasm.add, []);
    }
  };

  readonly scale: Kernels['scale'] = (values, factor) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.scale(values.byteOffset, values.length, factor);
    else this.#scratch.run('u', [values], wasm.scale, [factor]);
  };

  readonly divide: Kernels['divide'] = (values, divisor) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.divide(values.byteOffset, values.length, divisor);
    else this.#scratch.run('u', [values], wasm.divide, [divisor]);
  };

  readonly clipValue: Kernels['clipValue'] = (values, limit) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.clipValue(values.byteOffset, values.length, limit);
    else this.#scratch.run('u', [values], wasm.clipValue, [limit]);
  };

  readonly zeroNonFinite: Kernels['zeroNonFinite'] = (values) => {
    const wasm = this.#wasm;
    if (this.#isHere(values, values.length)) wasm.zeroNonFinite(values.byteOffset, values.length);
    else this.#scratch.run('u', [values], wasm.zeroNonFinite, []);
  };

  readonly toBfloat16: Kernels['toBfloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.toBfloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], wasm.toBfloat16, []);
    }
  };

  readonly fromBfloat16: Kernels['fromBfloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.fromBfloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], wasm.fromBfloat16, []);
    }
  };

  readonly toFloat16: Kernels['toFloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.toFloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], wasm.toFloat16, []);
    }
  };

  readonly fromFloat16: Kernels['fromFloat16'] = (out, x) => {
    const wasm = this.#wasm;
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(x, length)) {
      wasm.fromFloat16(out.byteOffset, x.byteOffset, length);
    } else {
      this.#scratch.run('wr', [out, x], wasm.fromFloat16, []);
    }
  };

  readonly sumSquares: Kernels['sumSquares'] = (values, initial = 0) => {
    if (!this.#isHere(values, values.length)) return this.#scratch.sumSquares(values, this.#wasm, initial);
    return this.#wasm.sumSquares(values.byteOffset, values.length, initial);
  };

  readonly sgd: Kernels['sgd'] = (out, parameter, gradient, learningRate) => {
    const { length } = out;
    if (this.#isHere(out, length) && this.#isHere(parameter, length) && this.#isHere(gradient, length)) {
      this.#wasm.sgd(out.byteOffset, parameter.byteOffset, gradient.byteOffset, length, learningRate);
    } else {
      this.#scratch.run('wrr', [out, parameter, gradient], this.#wasm.sgd, [learningRate]);
    }
  };

  readonly momentum: Kernels['momentum'] = (out, parameter, gradient, velocity, learningRate, momentum) => {
    if (this.#areHere(out, parameter, gradient, velocity)) {
      this.#wasm.momentum(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        velocity.byteOffset,
        out.length,
        learningRate,
        momentum,
      );
    } else {
      const arrays = [out, parameter, gradient, velocity];
      this.#scratch.run('wrru', arrays, this.#wasm.momentum, [learningRate, momentum]);
    }
  };

  readonly nesterov: Kernels['nesterov'] = (out, parameter, gradient, velocity, learningRate, momentum) => {
    if (this.#areHere(out, parameter, gradient, velocity)) {
      this.#wasm.nesterov(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        velocity.byteOffset,
        out.length,
        learningRate,
        momentum,
      );
    } else {
      const arrays = [out, parameter, gradient, velocity];
      this.#scratch.run('wrru', arrays, this.#wasm.nesterov, [learningRate, momentum]);
    }
  };

  readonly adagrad: Kernels['adagrad'] = (out, parameter, gradient, accumulator, learningRate, epsilon) => {
    if (this.#areHere(out, parameter, gradient, accumulator)) {
      this.#wasm.adagrad(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        accumulator.byteOffset,
        out.length,
        learningRate,
        epsilon,
      );
    } else {
      const arrays = [out, parameter, gradient, accumulator];
      this.#scratch.run('wrru', arrays, this.#wasm.adagrad, [learningRate, epsilon]);
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
    if (this.#areHere(out, parameter, gradient, meanSquare)) {
      this.#wasm.rmsprop(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        meanSquare.byteOffset,
        out.length,
        learningRate,
        rho,
        epsilon,
      );
    } else {
      const arrays = [out, parameter, gradient, meanSquare];
      this.#scratch.run('wrru', arrays, this.#wasm.rmsprop, [learningRate, rho, epsilon]);
    }
  };

  readonly adam: Kernels['adam'] = (out, parameter, gradient, firstMoment, secondMoment, scalars) => {
    const { beta1, beta2, stepSize, rootCorrection, epsilon, decay } = scalars;
    const hasDecay = Math.fround(decay) !== 0;
    const areHere =
      this.#areHere(out, parameter, gradient, firstMoment) && this.#isHere(secondMoment, out.length);
    if (!areHere) {
      const kernel = hasDecay ? this.#wasm.adamw : this.#wasm.adam;
      const arrays = [out, parameter, gradient, firstMoment, secondMoment];
      const numbers = [beta1, beta2, stepSize, rootCorrection, epsilon, decay];
      this.#scratch.run('wrruu', arrays, kernel, numbers);
    } else if (hasDecay) {
      this.#wasm.adamw(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        firstMoment.byteOffset,
        secondMoment.byteOffset,
        out.length,
        beta1,
        beta2,
        stepSize,
        rootCorrection,
        epsilon,
        decay,
      );
    } else {
      this.#wasm.adam(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        firstMoment.byteOffset,
        secondMoment.byteOffset,
        out.length,
        beta1,
        beta2,
        stepSize,
        rootCorrection,
        epsilon,
      );
    }
  };

  readonly ftrl: Kernels['ftrl'] = (out, parameter, gradient, z, n, scalars) => {
    const { inverseRate, inverseRateChange, beta, l1, l2 } = scalars;
    if (this.#areHere(out, parameter, gradient, z) && this.#isHere(n, out.length)) {
      this.#wasm.ftrl(
        out.byteOffset,
        parameter.byteOffset,
        gradient.byteOffset,
        z.byteOffset,
        n.byteOffset,
        out.length,
        inverseRate,
        inverseRateChange,
        beta,
        l1,
        l2,
      );
    } else {
      const numbers = [inverseRate, inverseRateChange, beta, l1, l2];
      this.#scratch.run('wrruu', [out, parameter, gradient, z, n], this.#wasm.ftrl, numbers);
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
