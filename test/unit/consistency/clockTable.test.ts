import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClockTable } from '../../../src/core/consistency/clockTable.js';

/** The same by the plainest code: a list that is searched. */
class NaiveTable {
  readonly clocks: Record<string, number> = {};
  minClock = 0;

  enter(id: string, clock: number): void {
    if (id in this.clocks) return;
    this.clocks[id] = Math.max(this.minClock, clock);
    this.raise();
  }

  raise(): void {
    const all = Object.values(this.clocks);
    if (all.length > 0) this.minClock = Math.min(...all);
  }

  below(clock: number): { id: string; clock: number }[] {
    return Object.entries(this.clocks)
      .map(([id, each]) => ({ id, clock: each }))
      .filter((each) => each.clock < clock)
      .sort((a, b) => a.clock - b.clock || (a.id < b.id ? -1 : 1));
  }
}

type Step =
  | { kind: 'enter'; id: string; clock: number }
  | { kind: 'advance'; id: string; by: number }
  | { kind: 'leave'; id: string };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('enter' as const), id, clock: fc.nat(12) }),
  fc.record({ kind: fc.constant('advance' as const), id, by: fc.nat(3) }),
  fc.record({ kind: fc.constant('leave' as const), id }),
);

describe('ClockTable', () => {
  it('any sequence: agrees with a list that is searched', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(15), (steps, at) => {
        const table = new ClockTable();
        const naive = new NaiveTable();
        let lastMin = 0;
        for (const each of steps) {
          const clock = naive.clocks[each.id];
          if (each.kind === 'enter') {
            naive.enter(each.id, each.clock);
            expect(table.enter(each.id, each.clock)).toBe(naive.clocks[each.id]);
          } else if (each.kind === 'leave') {
            delete naive.clocks[each.id];
            table.leave(each.id);
          } else if (clock !== undefined) {
            naive.clocks[each.id] = clock + each.by;
            table.advance(each.id, clock + each.by);
          }
          naive.raise();
          expect(table.minClock).toBe(naive.minClock);
          expect(table.minClock).toBeGreaterThanOrEqual(lastMin);
          lastMin = table.minClock;
          const clocks = Object.values(naive.clocks);
          expect(Object.fromEntries(table.entries())).toEqual(naive.clocks);
          expect(table.size).toBe(clocks.length);
          expect(table.countAbove(at)).toBe(clocks.filter((other) => other > at).length);
          expect(table.below(at)).toEqual(naive.below(at));
          expect(table.maxClock()).toBe(Math.max(naive.minClock, ...clocks));
          expect(table.has(each.id)).toBe(each.id in naive.clocks);
          expect(table.clockOf(each.id)).toBe(naive.clocks[each.id]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('keeps minClock when the last worker leaves, and lets nobody in below it', () => {
    const table = new ClockTable();
    table.enter('a', 0);
    table.advance('a', 5);
    table.leave('a');
    expect(table.minClock).toBe(5);
    expect(table.enter('b', 0)).toBe(5);
    expect(table.enter('c', 9)).toBe(9);
    expect(table.minClock).toBe(5);
  });

  it('a worker that is in stays where it is', () => {
    const table = new ClockTable();
    table.enter('a', 2);
    expect(table.enter('a', 7)).toBe(2);
  });

  it('minClock rises when the slowest leaves', () => {
    const table = new ClockTable();
    table.enter('a', 0);
    table.enter('b', 4);
    table.leave('a');
    expect(table.minClock).toBe(4);
  });

  it('takes back what was saved', () => {
    const table = new ClockTable();
    table.restore(
      [
        ['a', 7],
        ['b', 5],
      ],
      3,
    );
    expect(table.minClock).toBe(5);
    table.restore([], 6);
    expect([table.size, table.minClock]).toEqual([0, 6]);
  });

  it('a clock that falls, or one of nobody, is our bug', () => {
    const table = new ClockTable();
    table.enter('a', 3);
    expect(() => table.advance('a', 2)).toThrow('clock of a');
    expect(() => table.advance('b', 2)).toThrow('clock of b');
  });
});
