import { ExtData, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { decodeValue, type EncodedValue, encodeValue } from '../../../src/core/protocol/valueCodec.js';
import { joinValues, ValueStream } from '../../../src/core/protocol/valueStream.js';

const arrays = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.float32Array({ maxLength: 9 }),
  fc.float64Array({ maxLength: 9 }),
  fc.int16Array({ maxLength: 9 }),
  fc.bigInt64Array({ maxLength: 4 }),
  fc.uint8ClampedArray({ maxLength: 9 }),
);
const key = fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__');
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    arrays,
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.double().map((each) => (each === 0 ? 0 : each)),
    fc.maxSafeInteger(),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

function bytesOf({ pieces, bytes }: EncodedValue): Uint8Array {
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  expect(at).toBe(bytes);
  return joined;
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'none';
  } catch (error) {
    if (error instanceof PsError) return error.code;
    throw error;
  }
}

describe('values', () => {
  it('are read back as they were, typed arrays of their kind, in multiples of 8 bytes', () => {
    fc.assert(
      fc.property(value, (given) => {
        const bytes = bytesOf(encodeValue(given));
        expect(bytes.length % 8).toBe(0);
        expect(decodeValue(bytes)).toEqual(given);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('are read, or refused with PS_PROTOCOL, when they are cut, longer or damaged', () => {
    fc.assert(
      fc.property(value, fc.infiniteStream(fc.nat()), (given, numbers) => {
        const bytes = bytesOf(encodeValue(given));
        for (let length = 0; length < bytes.length; length++) {
          expect(codeOf(() => decodeValue(bytes.slice(0, length)))).toBe('PS_PROTOCOL');
        }
        const at = (numbers.next().value as number) % bytes.length;
        const damaged = bytes.slice();
        damaged[at] = (numbers.next().value as number) & 255;
        expect(['none', 'PS_PROTOCOL']).toContain(codeOf(() => decodeValue(damaged)));
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('have arrays that are views where they stand aligned, and copies where not', () => {
    const bytes = bytesOf(encodeValue([Float32Array.of(1, 2), new Float64Array([3])]));
    const [first] = decodeValue(bytes) as [Float32Array];
    expect(first.buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(decodeValue(shifted.subarray(1))).toEqual([Float32Array.of(1, 2), new Float64Array([3])]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a function', { f: () => 1 }, /item/],
    ['a symbol', [Symbol('x')], /item/],
    ['a Map', new Map(), /class Map/],
    ['an object of a class', [new (class Point {})()], /class Point/],
    ['a promise', Promise.resolve(), /class Promise/],
    ['a string object', new String('x'), /class String/],
  ])('%s has no bytes', (_name, given, text) => {
    expect(codeOf(() => encodeValue(given, 'item 3'))).toBe('PS_VALUE_INVALID');
    expect(() => encodeValue(given, 'item 3')).toThrow(text);
  });

  it('that hold themselves have no bytes', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(codeOf(() => encodeValue(cycle))).toBe('PS_VALUE_INVALID');
  });

  it('cost no more than their bytes: bombs are refused before they are decoded', () => {
    const bomb = (structure: Uint8Array): Uint8Array => {
      const bytes = new Uint8Array(Math.ceil((8 + structure.length) / 8) * 8);
      new DataView(bytes.buffer).setUint32(0, structure.length, true);
      bytes.set(structure, 8);
      return bytes;
    };
    const nested = new Uint8Array(1_048_576).fill(0x91);
    expect(codeOf(() => decodeValue(bomb(nested)))).toBe('PS_PROTOCOL');
    const wide = Uint8Array.from(Array.from({ length: 8 }, () => [0xdd, 0xff, 0xff, 0xff, 0xff]).flat());
    expect(codeOf(() => decodeValue(bomb(wide)))).toBe('PS_PROTOCOL');
    const foreign = encode(new ExtData(9, new Uint8Array(4)));
    expect(codeOf(() => decodeValue(bomb(foreign)))).toBe('PS_PROTOCOL');
  });
});

describe('values on their way', () => {
  it('are the same bytes in chunks of any size', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 4 }), fc.integer({ min: 1, max: 12 }), (given, eighths) => {
        const encoded = joinValues(given.map((each) => encodeValue(each)));
        const messages = {
          head: { t: 84, request: 1 },
          chunk: (offset: number) => ({ t: 82, request: 1, offset }),
        };
        const stream = new ValueStream(1, encoded, messages as never, eighths * 8);
        const received = new Uint8Array(encoded.bytes);
        let at = 0;
        for (let part = stream.next(); part !== undefined; part = stream.next()) {
          expect(part.payload.length).toBeLessThanOrEqual(eighths * 8);
          if ('offset' in part.message) expect(part.message.offset).toBe(at);
          received.set(part.payload, at);
          at += part.payload.length;
        }
        expect(at).toBe(encoded.bytes);
        expect([...received]).toEqual([...bytesOf(encoded)]);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('have long arrays that are not copied, whatever stands between them', () => {
    const arrays = Array.from({ length: 3 }, (_, i) => new Float32Array(50_000 + i).fill(i));
    const encoded = encodeValue([arrays[0], 'between', arrays[1], { last: arrays[2] }]);
    const messages = {
      head: { t: 84, request: 1 },
      chunk: (offset: number) => ({ t: 82, request: 1, offset }),
    };
    const stream = new ValueStream(1, encoded, messages as never, 131_072);
    let views = 0;
    for (let part = stream.next(); part !== undefined; part = stream.next()) {
      const { buffer, length } = part.payload;
      if (arrays.some((array) => array.buffer === buffer)) views += length;
      else expect(length).toBeLessThan(256);
    }
    expect(views).toBe(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  });
});
