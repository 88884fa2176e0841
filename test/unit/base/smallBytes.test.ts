import { expect, it } from 'vitest';
import { smallBytes, smallCopy } from '../../../src/core/base/smallBytes.js';

it('gives zeros, aligned to 8, in memory that nobody else has', () => {
  const all = Array.from({ length: 5_000 }, (_, i) => smallBytes(i % 70));
  for (const bytes of all) {
    expect(bytes.byteOffset % 8).toBe(0);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes.fill(0xff);
  }
  expect(smallBytes(1_024).every((byte) => byte === 0)).toBe(true);
});

it('gives what is larger a buffer of its own', () => {
  expect(smallBytes(1_025).buffer.byteLength).toBe(1_025);
});

it('copies', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const copy = smallCopy(bytes);
  bytes.fill(9);
  expect([...copy]).toEqual([1, 2, 3]);
});
