import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadKernels } from '../../../src/core/kernels/loadKernels.js';

/** `WebAssembly` with some parts replaced. */
function withWebAssembly(parts: Partial<Record<keyof typeof WebAssembly, unknown>>): void {
  const { Memory, Module, Instance, validate } = WebAssembly;
  vi.stubGlobal('WebAssembly', { Memory, Module, Instance, validate, ...parts });
}

function refused(): never {
  throw new RangeError('not here');
}

/** What is loaded works, whatever it is. */
function expectKernels(name: string): void {
  const { kernels, allocate, release } = loadKernels(1);
  expect(kernels.name).toBe(name);
  const [p, g] = [allocate(5).fill(1), allocate(5).fill(2)];
  kernels.sgd(p, p, g, 0.25);
  expect([...p]).toEqual([0.5, 0.5, 0.5, 0.5, 0.5]);
  release(p);
  release(g);
  expect([...allocate(5)]).toEqual([0, 0, 0, 0, 0]);
}

describe('loadKernels', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('loads the WASM kernels', () => expectKernels('wasm'));

  it('falls back to JavaScript where there is no WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined);
    expectKernels('javascript');
  });

  it('falls back where WebAssembly has no SIMD: a module with a vector in it is not valid', () => {
    let probe: BufferSource | undefined;
    withWebAssembly({
      validate: (bytes: BufferSource) => {
        probe = bytes;
        return false;
      },
    });
    expectKernels('javascript');
    vi.unstubAllGlobals();
    expect(WebAssembly.validate(probe as BufferSource)).toBe(true);
  });

  it('falls back where no memory can be had', () => {
    withWebAssembly({ Memory: refused });
    expectKernels('javascript');
  });

  it('falls back where modules may not be compiled or instantiated', () => {
    withWebAssembly({ Instance: refused });
    expectKernels('javascript');
  });
});
