import { encode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { decodeCatalogue } from '../../../src/core/protocol/catalogueCodec.js';
import { MAX_TENSORS } from '../../../src/core/protocol/limits.js';

describe('the catalogue of Welcome', () => {
  it.each([
    ['no MessagePack', Uint8Array.of(0xc1)],
    ['no list', encode({ a: 1 })],
    ['an entry that is no list', encode(['a'])],
    ['no name', encode([['', [1], 'float32', true]])],
    ['a name that is too long', encode([['x'.repeat(1025), [1], 'float32', true]])],
    [
      'a name twice',
      encode([
        ['a', [1], 'float32', true],
        ['a', [1], 'float32', true],
      ]),
    ],
    ['a negative size', encode([['a', [-1], 'float32', true]])],
    ['a size that is no integer', encode([['a', [1.5], 'float32', true]])],
    ['a shape with too many dimensions', encode([['a', Array(65).fill(1), 'float32', true]])],
    ['more elements than can be counted', encode([['a', [2 ** 30, 2 ** 30], 'float32', true]])],
    ['another dtype', encode([['a', [1], 'float64', true]])],
    ['no flag', encode([['a', [1], 'float32', 1]])],
    ['more tensors than a model may have', encode(Array(MAX_TENSORS + 1).fill(0))],
    ['bytes after it', Uint8Array.of(...encode([]), 0)],
  ])('with %s is refused', (_what, bytes) => {
    expect(() => decodeCatalogue(bytes)).toThrow(expect.objectContaining({ code: 'PS_PROTOCOL' }));
  });

  it('holds scalars, empty tensors and any name', () => {
    const specs = [
      ['scalar', [], 'float32', true],
      ['none', [0, 5], 'float32', false],
      ['__proto__', [2], 'float32', true],
    ];
    const { entries, length } = decodeCatalogue(encode(specs));
    expect(entries.map((entry) => [entry.name, entry.length, entry.offset])).toEqual([
      ['scalar', 1, 0],
      ['none', 0, 1],
      ['__proto__', 2, 1],
    ]);
    expect(length).toBe(3);
  });
});
