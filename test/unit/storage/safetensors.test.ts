import { describe, expect, it } from 'vitest';
import {
  decodeSafetensorsHeader,
  encodeSafetensorsHeader,
  headerLength,
  LENGTH_BYTES,
  type SafetensorsHeader,
} from '../../../src/io/storage/safetensors.js';

const corrupt = expect.objectContaining({ code: 'PS_CORRUPT' });

function decode(json: string, dataBytes: number): SafetensorsHeader {
  const bytes = new TextEncoder().encode(json);
  return decodeSafetensorsHeader(bytes, LENGTH_BYTES + bytes.length + dataBytes);
}

describe('the header of a safetensors file', () => {
  it('comes back as it was, names that are numbers and empty tensors included', () => {
    const tensors = [
      { name: '10', dtype: 'F32', shape: [2, 3] },
      { name: '2', dtype: 'F64', shape: [] },
      { name: 'nothing', dtype: 'F32', shape: [0, 5] },
      { name: '"quoted" 𝄞', dtype: 'U32', shape: [1] },
    ];
    const bytes = encodeSafetensorsHeader(new Map([['k', 'v']]), tensors);
    expect(bytes.length % 8).toBe(0);
    const size = bytes.length + 24 + 8 + 0 + 4;
    expect(headerLength(bytes, size)).toBe(bytes.length - LENGTH_BYTES);
    const header = decodeSafetensorsHeader(bytes.subarray(LENGTH_BYTES), size);
    expect(header.entries.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(tensors);
    expect(header.entries.map(({ begin, end }) => [begin, end])).toEqual([
      [0, 24],
      [24, 32],
      [32, 32],
      [32, 36],
    ]);
    expect(header).toMatchObject({ dataAt: bytes.length, dataBytes: 36, metadata: new Map([['k', 'v']]) });
  });

  it.each([
    ['no JSON', '{', 0],
    ['no object', '[]', 0],
    ['metadata that are no object', '{"__metadata__":1}', 0],
    ['a tensor without a type', '{"a":{"shape":[1],"data_offsets":[0,4]}}', 4],
    ['a type that is not known', '{"a":{"dtype":"F3","shape":[1],"data_offsets":[0,4]}}', 4],
    ['a type of the object prototype', '{"a":{"dtype":"constructor","shape":[1],"data_offsets":[0,4]}}', 4],
    ['a negative size', '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4],
    ['a shape that does not fit', '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4],
    ['an end before its begin', '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4],
    ['a gap', '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8],
    [
      'an overlap',
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
      8,
    ],
    ['bytes behind the last tensor', '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 5],
    ['fewer bytes than tensors', '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 3],
  ])('is refused: %s', (_name, json, dataBytes) => {
    expect(() => decode(json, dataBytes)).toThrow(corrupt);
  });

  it('is refused when its length can not be', () => {
    const length = (low: number, high: number): Uint8Array => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint32(0, low, true);
      new DataView(bytes.buffer).setUint32(4, high, true);
      return bytes;
    };
    expect(headerLength(length(10, 0), 18)).toBe(10);
    expect(() => headerLength(length(11, 0), 18)).toThrow(corrupt);
    expect(() => headerLength(length(0, 1), 1e12)).toThrow(corrupt);
    expect(() => headerLength(length(2e8, 0), 1e12)).toThrow(corrupt);
    expect(() => headerLength(new Uint8Array(7), 7)).toThrow(corrupt);
  });
});
