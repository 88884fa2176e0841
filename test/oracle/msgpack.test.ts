/** MessagePack against the library of its authors: the same bytes of any value, the same value of any bytes. */
import { inspect } from 'node:util';
import { decode, Encoder, ExtData, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MsgpackReader } from '../../src/core/protocol/msgpackReader.js';
import { MsgpackWriter } from '../../src/core/protocol/msgpackWriter.js';

const BOUNDS = {
  what: 'value',
  maxDepth: 64,
  maxArray: Number.POSITIVE_INFINITY,
  maxMap: Number.POSITIVE_INFINITY,
  fromExtension: (type: number, data: Uint8Array) => new ExtData(type, data),
};

const extensionCodec = {
  decode: (data: Uint8Array, type: number) => new ExtData(type, data),
  tryToEncode: () => null,
};
const isOwn = (key: string): boolean => key !== '__proto__';
const edge = fc
  .tuple(fc.constantFrom(5, 7, 8, 15, 16, 31, 32, 33, 52), fc.integer({ min: -3, max: 3 }), fc.boolean())
  .map(([power, off, isNegative]) => (isNegative ? -1 : 1) * (2 ** power + off));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    edge,
    fc.maxSafeInteger(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'binary', maxLength: 90 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string({ maxLength: 8 }).filter(isOwn), tie('value'), { maxKeys: 20 }),
  ),
}));

/** What comes of reading; every refusal is the same. */
function outcomeOf(read: () => unknown): unknown {
  try {
    return { value: read() };
  } catch {
    return 'refused';
  }
}

describe('MessagePack', () => {
  it('has the bytes that the library writes, and is read as it was', () => {
    const writer = new MsgpackWriter(64);
    fc.assert(
      fc.property(value, (given) => {
        const bytes = writer.encode(given).slice();
        expect([...bytes]).toEqual([...encode(given)]);
        expect(new MsgpackReader(bytes, BOUNDS).whole()).toEqual(decode(bytes));
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  it('has the lengths that the library writes, at every border', () => {
    const writer = new MsgpackWriter(64);
    for (const length of [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      const fields = Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, i]));
      for (const given of ['x'.repeat(length), Array(length).fill(1), new Uint8Array(length), fields]) {
        const bytes = writer.encode(given).slice();
        expect(Buffer.compare(bytes, encode(given))).toBe(0);
        expect(new MsgpackReader(bytes, BOUNDS).whole()).toEqual(given);
      }
    }
  });

  it('has the extensions that the library writes, of every length', () => {
    const writer = new MsgpackWriter(64, (each) =>
      each instanceof ExtData ? { type: each.type, data: each.data as Uint8Array } : undefined,
    );
    for (const length of [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65_536]) {
      const given = new ExtData(-5, new Uint8Array(length).fill(7));
      const bytes = writer.encode([given]).slice();
      expect(Buffer.compare(bytes, encode([given]))).toBe(0);
      expect(new MsgpackReader(bytes, BOUNDS).whole()).toEqual([given]);
    }
  });

  it('is read from floats of 32 bits, and integers of 64', () => {
    const narrow = new Encoder({ forceFloat32: true }).encode(0.1);
    expect(new MsgpackReader(narrow, BOUNDS).whole()).toBe(Math.fround(0.1));
    const wide = new Encoder({ useBigInt64: true });
    for (const given of [-1n, -(2n ** 53n), 2n ** 53n - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(new MsgpackReader(wide.encode(given), BOUNDS).whole()).toBe(Number(given));
    }
  });

  it('is what the library says of any bytes, or refused by both', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), damaged()), (bytes) => {
        const read = outcomeOf(() => new MsgpackReader(bytes, BOUNDS).whole());
        const expected = outcomeOf(() => decode(bytes, { extensionCodec }));
        // Letters that are not UTF-8 are U+FFFD here, as the platform has it; the library has rules of its own.
        if (inspect(read, { depth: null, maxStringLength: null }).includes('\u{fffd}')) return;
        expect(read).toEqual(expected);
      }),
      { seed: 2, numRuns: 20_000 },
    );
  });
});

/** Bytes of a value, one of them changed, perhaps cut. */
function damaged(): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(value, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean())
    .map(([given, at, byte, cut]) => {
      const bytes = encode(given);
      bytes[at % bytes.length] = byte;
      return cut ? bytes.subarray(0, at % bytes.length) : bytes;
    });
}
