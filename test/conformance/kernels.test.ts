/**
 * One suite, every implementation of the kernels; WASM with arrays in its memory, outside it, and mixed.
 */
import { describe, expect, it } from 'vitest';
import { loadKernels } from '../../src/core/kernels/loadKernels.js';
import { referenceKernels } from '../../src/core/kernels/reference.js';
import { describeHalfFloats } from './halfFloatsSuite.js';
import { describeLengths } from './kernelLengthsSuite.js';
import { describeKernels, type KernelsUnderTest } from './kernelsSuite.js';
import { describeRows } from './rowKernelsSuite.js';

const plain = (length: number): Float32Array => new Float32Array(length);
const wasm = loadKernels();
let count = 0;
/** Every third array outside, so that calls meet every mixture. */
const mixed = (length: number): Float32Array => (count++ % 3 === 0 ? plain(length) : wasm.allocate(length));

interface Place extends KernelsUnderTest {
  readonly name: string;
}
const implementations: readonly Place[] = [
  { name: 'javascript', kernels: referenceKernels, allocate: plain },
  { name: 'wasm, in its memory', kernels: wasm.kernels, allocate: wasm.allocate },
  { name: 'wasm, outside its memory', kernels: wasm.kernels, allocate: plain },
  { name: 'wasm, some arrays outside', kernels: wasm.kernels, allocate: mixed },
];

it('WASM SIMD is what these tests ran on, in its memory', () => {
  expect(wasm.kernels.name).toBe('wasm');
  expect(wasm.allocate(1).buffer).toBe(wasm.allocate(1).buffer);
});

describe.each(implementations)('$name', (implementation) => {
  describeKernels(implementation);
  describeLengths(implementation);
  describeHalfFloats(implementation);
  describeRows(implementation);
});
