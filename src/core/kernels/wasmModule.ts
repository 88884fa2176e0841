/**
 * The compiled WebAssembly module of the kernels: one for the whole process, made from the embedded bytes
 * when it is first asked for, and what an instance of it exports.
 */
import { WASM_BYTES } from './wasmBytes.js';

/** A function of the module: addresses, length in elements, scalars. */
export type WasmKernel = (...numbers: number[]) => void;

/** What the module exports; addresses are of bytes in its memory. Each is the kernel of that name. */
export interface WasmExports {
  add(accumulator: number, x: number, length: number): void;
  scale(values: number, length: number, factor: number): void;
  divide(values: number, length: number, divisor: number): void;
  clipValue(values: number, length: number, limit: number): void;
  zeroNonFinite(values: number, length: number): void;
  /** `addresses`: where the addresses of the rows stand, `count` words. */
  gatherRows(out: number, addresses: number, count: number, dim: number): void;
  scatterRows(addresses: number, from: number, count: number, dim: number): void;
  toBfloat16(out: number, x: number, length: number): void;
  fromBfloat16(out: number, x: number, length: number): void;
  toFloat16(out: number, x: number, length: number): void;
  fromFloat16(out: number, x: number, length: number): void;
  sumSquares(values: number, length: number, initial: number): number;
  sgd(out: number, parameter: number, gradient: number, length: number, learningRate: number): void;
  momentum(
    out: number,
    parameter: number,
    gradient: number,
    velocity: number,
    length: number,
    learningRate: number,
    momentum: number,
  ): void;
  nesterov(
    out: number,
    parameter: number,
    gradient: number,
    velocity: number,
    length: number,
    learningRate: number,
    momentum: number,
  ): void;
  adagrad(
    out: number,
    parameter: number,
    gradient: number,
    accumulator: number,
    length: number,
    learningRate: number,
    epsilon: number,
  ): void;
  rmsprop(
    out: number,
    parameter: number,
    gradient: number,
    meanSquare: number,
    length: number,
    learningRate: number,
    rho: number,
    epsilon: number,
  ): void;
  adam(
    out: number,
    parameter: number,
    gradient: number,
    firstMoment: number,
    secondMoment: number,
    length: number,
    beta1: number,
    beta2: number,
    stepSize: number,
    rootCorrection: number,
    epsilon: number,
  ): void;
  /** `adam` with decay. */
  adamw(
    out: number,
    parameter: number,
    gradient: number,
    firstMoment: number,
    secondMoment: number,
    length: number,
    beta1: number,
    beta2: number,
    stepSize: number,
    rootCorrection: number,
    epsilon: number,
    decay: number,
  ): void;
  ftrl(
    out: number,
    parameter: number,
    gradient: number,
    z: number,
    n: number,
    length: number,
    inverseRate: number,
    inverseRateChange: number,
    beta: number,
    l1: number,
    l2: number,
  ): void;
}

/** A module of one function that holds a SIMD constant: valid where SIMD is. */
const SIMD_PROBE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // One type, () → v128; one function of it.
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00],
  // Its body: i32.const 0, i8x16.splat, end.
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b],
]);

let compiled: WebAssembly.Module | undefined;

/** Whether there is WebAssembly with SIMD. */
export function hasWasmSimd(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(SIMD_PROBE);
}

/**
 * Instantiates the kernels on `memory`. REQUIRES: `hasWasmSimd()`. Throws what WebAssembly throws where it is
 * there but may not be used (a content security policy, a limit on synchronous compilation).
 */
export function instantiate(memory: WebAssembly.Memory): WasmExports {
  compiled ??= new WebAssembly.Module(bytesOf(WASM_BYTES));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  // An engine compiles a function when it is first called: now, and not in the first push. Without arguments
  // each has nothing to do.
  for (const kernel of Object.values(exports)) (kernel as WasmKernel).call(undefined);
  return exports as unknown as WasmExports;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
