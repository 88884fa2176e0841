/**
 * One suite, every implementation of the kernels.
 */
import { describe } from 'vitest';
import { referenceKernels } from '../../src/core/kernels/reference.js';
import { describeKernels, type KernelsUnderTest } from './kernelsSuite.js';

const implementations: readonly KernelsUnderTest[] = [
  { kernels: referenceKernels, allocate: (length) => new Float32Array(length) },
];

describe.each(implementations)('$kernels.name', describeKernels);
