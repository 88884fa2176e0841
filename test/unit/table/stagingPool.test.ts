import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StagingPool } from '../../../src/core/table/stagingPool.js';

const allocate = (length: number): Float32Array => new Float32Array(length);

describe('StagingPool', () => {
  it('gives areas while there is room', () => {
    const pool = new StagingPool(100, allocate);
    expect(pool.take(10)).toHaveLength(10);
    expect(pool.take(15)).toHaveLength(15);
    expect(pool.usedBytes).toBe(100);
    expect(pool.take(1)).toBeUndefined();
  });

  it('gives one area whatever its size, so that the largest push is never stuck', () => {
    const pool = new StagingPool(100, allocate);
    const area = pool.take(1000) as Float32Array;
    expect(area).toHaveLength(1000);
    expect(pool.take(1)).toBeUndefined();
    pool.give(area);
    expect(pool.usedBytes).toBe(0);
    expect(pool.take(1)).toHaveLength(1);
  });

  it('gives the same memory again', () => {
    const pool = new StagingPool(100, allocate);
    const area = pool.take(10) as Float32Array;
    pool.give(area);
    expect(pool.take(10)).toBe(area);
    expect(pool.take(10)).not.toBe(area);
  });

  it('gives the same memory again for another length that is not much less', () => {
    const pool = new StagingPool(1e6, allocate);
    const first = pool.take(100_000, true) as Float32Array;
    expect(first).toHaveLength(100_000);
    pool.give(first);
    const second = pool.take(99_000, true) as Float32Array;
    expect(second).toHaveLength(99_000);
    expect(second.buffer).toBe(first.buffer);
    pool.give(second);
    expect(pool.usedBytes).toBe(0);
  });

  it('any sequence: areas in use are different, and memory stays within the bound or is one area', () => {
    const step = fc.oneof(
      fc.record({ length: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ give: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const used: Float32Array[] = [];
        const pool = new StagingPool(200, allocate);
        for (const each of steps) {
          if ('length' in each) {
            const area = pool.take(each.length);
            const needed = each.length * 4;
            const bytes = used.reduce((sum, other) => sum + other.byteLength, 0);
            expect(area === undefined).toBe(used.length > 0 && bytes + needed > 200);
            if (area === undefined) continue;
            expect(area).toHaveLength(each.length);
            expect(used).not.toContain(area);
            used.push(area);
          } else {
            const [area] = used.splice(each.give % Math.max(1, used.length), 1);
            if (area === undefined) continue;
            pool.give(area);
          }
          expect(pool.usedBytes).toBe(used.reduce((sum, area) => sum + area.byteLength, 0));
        }
      }),
    );
  });

  it('what it keeps beside the areas in use is bounded too', () => {
    let live = 0;
    const registry = new Set<Float32Array>();
    const pool = new StagingPool(400, (length) => {
      live++;
      const area = allocate(length);
      registry.add(area);
      return area;
    });
    for (let length = 1; length <= 50; length++) pool.give(pool.take(length) as Float32Array);
    expect(live).toBe(50);
    // Taking what it has kept makes nothing new: only the last areas, 400 bytes together, are there.
    const kept = [50, 49].map((length) => pool.take(length) as Float32Array);
    expect(kept.every((area) => registry.has(area))).toBe(true);
    expect(live).toBe(50);
    pool.give(kept[1] as Float32Array);
    pool.give(kept[0] as Float32Array);
    pool.give(pool.take(20) as Float32Array);
    expect(live).toBe(51);
  });
});
