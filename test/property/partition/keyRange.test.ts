import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyRangeOf, MAX_SHARDS } from '../../../src/core/partition/keyRange.js';
import { modelOf, type ParameterSpecs } from '../../../src/core/table/model.js';
import { Catalogue, heldShape } from '../../../src/core/tensor/catalogue.js';

const counts = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: MAX_SHARDS }));
const lengths = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 2 ** 50 }));
const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 });

describe('the key ranges of shards', () => {
  test('cover the model without gap or overlap, balanced to one element', () => {
    fc.assert(
      fc.property(lengths, counts, (length, count) => {
        let next = 0;
        for (let index = 0; index < count; index++) {
          const { begin, end } = keyRangeOf(length, { index, count });
          expect(begin).toBe(next);
          const held = end - begin;
          expect(held).toBeGreaterThanOrEqual(Math.floor(length / count));
          expect(held).toBeLessThanOrEqual(Math.ceil(length / count));
          next = end;
        }
        expect(next).toBe(length);
      }),
    );
  });

  test('are as the protocol page says', () => {
    const cuts = [0, 1, 2].map((index) => keyRangeOf(11, { index, count: 3 }));
    expect(cuts).toEqual([
      { begin: 0, end: 4 },
      { begin: 4, end: 8 },
      { begin: 8, end: 11 },
    ]);
  });
});

describe('the catalogues of shards', () => {
  const models = fc.array(shapes, { minLength: 1, maxLength: 8 }).map((all) => {
    const specs = all.map(
      (shape, i) => ({ name: `t${i}`, shape, dtype: 'float32', trainable: true }) as const,
    );
    return new Catalogue(specs);
  });

  test('have every tensor, and every element of it once, in order', () => {
    fc.assert(
      fc.property(models, fc.integer({ min: 1, max: 7 }), (whole, count) => {
        const held = whole.entries.map(() => 0);
        for (let index = 0; index < count; index++) {
          const part = whole.part(keyRangeOf(whole.length, { index, count }));
          let offset = 0;
          for (const entry of part.entries) {
            const known = held[entry.index] as number;
            if (entry.length > 0) expect(entry.start).toBe(known);
            expect(entry.offset).toBe(offset);
            expect(heldShape(entry).reduce((a, b) => a * b, 1)).toBe(entry.length);
            held[entry.index] = known + entry.length;
            offset += entry.length;
          }
          expect(part.length).toBe(offset);
        }
        expect(held).toEqual(whole.entries.map(({ length }) => length));
      }),
    );
  });
});

describe('the first values of shards', () => {
  const inits = ['zeros', 'ones', 'normal', 'uniform', 'glorotUniform', 'heNormal'] as const;

  test('are those of one server, to the bit', () => {
    const specs = fc.array(
      fc.record({
        shape: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 3 }),
        init: fc.constantFrom(...inits),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(specs, fc.constantFrom(2, 3, 5), fc.nat(1000), (given, count, seed) => {
        const parameters: ParameterSpecs = {
          ...Object.fromEntries(given.map((spec, i) => [`t${i}`, spec])),
          f: { shape: [7], init: (i) => i * i },
          d: { shape: [5], data: Float32Array.of(1, 2, 3, 4, 5) },
        };
        const one = modelOf(parameters, seed);
        const expected = new Float32Array(one.whole.length);
        one.initialise(expected);
        const joined: number[] = [];
        for (let index = 0; index < count; index++) {
          const part = modelOf(parameters, seed, { index, count });
          const values = new Float32Array(part.catalogue.length);
          part.initialise(values);
          joined.push(...values);
        }
        expect(Float32Array.from(joined)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});
