import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../src/core/base/errors.js';
import { decodeCatalogue, encodeCatalogue } from '../../src/core/protocol/catalogueCodec.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { Catalogue, type TensorSpec } from '../../src/core/tensor/catalogue.js';
import { anyFrame } from './messages.js';

// A failure prints its seed and path; `fc.assert(…, { seed, path })` replays it.

/** `value` without what is undefined, since absent and undefined are one. */
function bare(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
}

/** Whether decoding `bytes` gives a message or `PS_PROTOCOL`; anything else is thrown. */
function outcomeOf(bytes: Uint8Array): 'message' | 'refused' {
  try {
    decodeFrame(bytes);
    return 'message';
  } catch (error) {
    if (error instanceof PsError && error.code === 'PS_PROTOCOL') return 'refused';
    throw error;
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

describe('frames', () => {
  it('are read back bit for bit, and written again as the same bytes', () => {
    fc.assert(
      fc.property(anyFrame, ({ message, payload }) => {
        const frame = encodeFrame(message, payload);
        const decoded = decodeFrame(frame);
        expect(bare(decoded.message)).toEqual(bare(message));
        expect(equalBytes(decoded.payload, payload)).toBe(true);
        expect(equalBytes(encodeFrame(decoded.message, decoded.payload), frame)).toBe(true);
      }),
      { seed: 10, numRuns: 10_000 },
    );
  });

  it('have payloads that begin at a multiple of 8', () => {
    fc.assert(
      fc.property(anyFrame, ({ message, payload }) => {
        const { payload: read } = decodeFrame(encodeFrame(message, payload));
        expect(read.byteOffset % 8).toBe(0);
      }),
      { seed: 11, numRuns: 1000 },
    );
  });

  it('are refused when they are cut anywhere, or anything follows', () => {
    fc.assert(
      fc.property(anyFrame, fc.uint8Array({ minLength: 1, maxLength: 20 }), ({ message, payload }, more) => {
        const frame = encodeFrame(message, payload);
        for (let length = 0; length < frame.length; length++) {
          if (outcomeOf(frame.subarray(0, length)) !== 'refused')
            throw new Error(`a prefix of ${length} is read`);
        }
        const longer = new Uint8Array(frame.length + more.length);
        longer.set(frame);
        longer.set(more, frame.length);
        expect(outcomeOf(longer)).toBe('refused');
      }),
      { seed: 12, numRuns: 300 },
    );
  });

  it('that are damaged are read as a message or refused, and never anything else', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(anyFrame, damage, ({ message, payload }, changes) => {
        const frame = encodeFrame(message, payload);
        for (const [at, byte] of changes) frame[at % frame.length] = byte;
        outcomeOf(frame);
      }),
      { seed: 13, numRuns: 10_000 },
    );
  });

  it('of random bytes are refused with PS_PROTOCOL', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        outcomeOf(bytes);
      }),
      { seed: 14, numRuns: 10_000 },
    );
  });

  it('with any header under a true preamble are read as a message or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (header, isMap) => {
        outcomeOf(frameOf(isMap ? Uint8Array.of(0x81, 0xa1, 0x74, ...header) : header));
      }),
      { seed: 15, numRuns: 10_000 },
    );
  });
});

describe('memory', () => {
  const MAX_HEADER = 16_384;
  const bombs: [name: string, frame: Uint8Array][] = [
    ['arrays that claim 2^32 − 1 elements, one in another', bombOf([0xdd, 255, 255, 255, 255], 40)],
    ['maps that claim 2^32 − 1 entries', bombOf([0xdf, 255, 255, 255, 255], 40)],
    ['a string that claims 4 GiB', bombOf([0xdb, 255, 255, 255, 255], 40)],
    ['bytes that claim 4 GiB', bombOf([0xc6, 255, 255, 255, 255], 40)],
    ['an extension', bombOf([0xc9, 255, 255, 255, 255, 1], 40)],
    ['16,000 nested arrays', bombOf([0x91], MAX_HEADER - 8)],
    ['arrays as wide as they may be, in one another', bombOf([0xdc, 4, 0], MAX_HEADER - 8)],
    ['many small arrays', bombOf([0x90], MAX_HEADER - 8)],
    ['a header of 4 GiB', Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0)],
    ['a payload of 4 GiB', Uint8Array.of(1, 0, 0, 0, 255, 255, 255, 255, 0x80, 0, 0, 0, 0, 0, 0, 0)],
  ];

  it.each(bombs)('taken for %s is at most 2 × the frame + 64 KiB', (_name, frame) => {
    // Whatever else allocates in between only raises the figure: the least of several is what decoding takes.
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      const before = usedBytes();
      const outcome = outcomeOf(frame);
      least = Math.min(least, usedBytes() - before);
      expect(outcome).toBe('refused');
    }
    expect(least).toBeLessThanOrEqual(2 * frame.length + 65_536);
  });

  it('taken for a large payload is none: it is a view', () => {
    const frame = encodeFrame({ t: 16, seq: 1, offset: 0 }, new Uint8Array(8_388_608));
    const before = usedBytes();
    const { payload } = decodeFrame(frame);
    expect(usedBytes() - before).toBeLessThan(65_536);
    expect(payload.buffer).toBe(frame.buffer);
  });
});

describe('catalogues', () => {
  const spec: fc.Arbitrary<TensorSpec> = fc.record({
    name: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
    shape: fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 4 }),
    dtype: fc.constant('float32' as const),
    trainable: fc.boolean(),
  });
  const specs = fc.uniqueArray(spec, { maxLength: 20, selector: ({ name }) => name });

  it('are read back as they were', () => {
    fc.assert(
      fc.property(specs, (given) => {
        const { entries } = decodeCatalogue(encodeCatalogue(new Catalogue(given)));
        expect(entries).toEqual(new Catalogue(given).entries);
      }),
      { seed: 16, numRuns: 500 },
    );
  });

  it('that are damaged are read as one or refused, and never anything else', () => {
    fc.assert(
      fc.property(specs, fc.nat(), fc.integer({ min: 0, max: 255 }), (given, at, byte) => {
        const bytes = encodeCatalogue(new Catalogue(given)).slice();
        bytes[at % bytes.length] = byte;
        try {
          decodeCatalogue(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PS_PROTOCOL' });
        }
      }),
      { seed: 17, numRuns: 2000 },
    );
  });
});

/** A frame with `header`, its lengths true. */
function frameOf(header: Uint8Array): Uint8Array {
  const start = 8 + ((header.length + 7) & ~7);
  const frame = new Uint8Array(start);
  new DataView(frame.buffer).setUint32(0, header.length, true);
  frame.set(header, 8);
  return frame;
}

/** A frame whose header is a map with one field, which is `unit` again and again. */
function bombOf(unit: readonly number[], bytes: number): Uint8Array {
  const header = [0x81, 0xa1, 0x74];
  while (header.length + unit.length <= bytes) header.push(...unit);
  return frameOf(Uint8Array.from(header));
}

function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
