import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClockTable } from '../../../src/core/consistency/clockTable.js';
import { WaitLedger } from '../../../src/core/consistency/waitLedger.js';

/** A table, its ledger, and what each worker has been charged. */
class Scene {
  readonly table: ClockTable = new ClockTable();
  readonly charged = new Map<string, number>();
  readonly ledger: WaitLedger;
  now = 0;

  constructor(...ids: string[]) {
    this.ledger = new WaitLedger(
      this.table,
      () => this.now,
      (id, ms) => this.charged.set(id, (this.charged.get(id) ?? 0) + ms),
    );
    for (const id of ids) this.table.enter(id, 0);
  }

  /** What `id` has cost others until now. */
  costOf(id: string): number {
    const clock = this.table.clockOf(id);
    return (this.charged.get(id) ?? 0) + (clock === undefined ? 0 : this.ledger.pending(id, clock));
  }
}

describe('a wait is charged', () => {
  it('to the one worker that is awaited', () => {
    const scene = new Scene('fast', 'slow');
    scene.table.advance('fast', 1);
    scene.ledger.begin(1);
    scene.now = 30;
    expect(scene.costOf('slow')).toBe(30);
    scene.table.advance('slow', 1);
    scene.ledger.end(1);
    scene.now = 100;
    expect([scene.costOf('slow'), scene.costOf('fast')]).toEqual([30, 0]);
  });

  it('in equal parts while two are awaited, and then to the last alone', () => {
    const scene = new Scene('a', 'b', 'c');
    scene.table.advance('a', 1);
    scene.ledger.begin(1);
    scene.now = 10;
    scene.table.advance('b', 1);
    scene.now = 15;
    scene.table.advance('c', 1);
    expect([scene.costOf('b'), scene.costOf('c')]).toEqual([5, 10]);
  });

  it('once for each pull that waits', () => {
    const scene = new Scene('a', 'b', 'slow');
    scene.table.advance('a', 1);
    scene.table.advance('b', 1);
    scene.ledger.begin(1);
    scene.now = 4;
    scene.ledger.begin(1);
    scene.now = 10;
    expect(scene.costOf('slow')).toBe(10 + 6);
  });

  it('no longer when the pull was taken back, or the worker has left', () => {
    const scene = new Scene('a', 'slow');
    scene.table.advance('a', 1);
    scene.ledger.begin(1);
    scene.now = 10;
    scene.ledger.end(1);
    scene.now = 50;
    expect(scene.costOf('slow')).toBe(10);
    scene.table.leave('slow');
    scene.now = 90;
    expect(scene.costOf('slow')).toBe(10);
  });

  it('to nobody where nobody is awaited', () => {
    const scene = new Scene('a');
    scene.ledger.begin(0);
    scene.now = 10;
    scene.ledger.end(0);
    expect(scene.costOf('a')).toBe(0);
  });
});

const ids = ['a', 'b', 'c', 'd'];
type Step =
  | { kind: 'enter'; id: string }
  | { kind: 'leave'; id: string }
  | { kind: 'advance'; id: string; by: number }
  | { kind: 'begin'; needed: number }
  | { kind: 'end'; needed: number }
  | { kind: 'pass'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('enter' as const), id: fc.constantFrom(...ids) }),
  fc.record({ kind: fc.constant('leave' as const), id: fc.constantFrom(...ids) }),
  fc.record({
    kind: fc.constant('advance' as const),
    id: fc.constantFrom(...ids),
    by: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('begin' as const), needed: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('end' as const), needed: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 9 }) }),
);

it('equals a plain count, millisecond by millisecond', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const scene = new Scene('a', 'b', 'c');
      const cost = new Map<string, number>();
      const pulls: number[] = [];
      for (const each of steps) {
        if (each.kind === 'enter') scene.table.enter(each.id, 0);
        else if (each.kind === 'leave') scene.table.leave(each.id);
        else if (each.kind === 'advance') {
          const clock = scene.table.clockOf(each.id);
          if (clock !== undefined) scene.table.advance(each.id, clock + each.by);
        } else if (each.kind === 'begin') {
          // As the server does: nobody waits for a clock that all have reached.
          if (scene.table.below(each.needed).length === 0) continue;
          pulls.push(each.needed);
          scene.ledger.begin(each.needed);
        } else if (each.kind === 'end') {
          const at = pulls.indexOf(each.needed);
          if (at < 0) continue;
          pulls.splice(at, 1);
          scene.ledger.end(each.needed);
        } else {
          for (const needed of pulls) {
            const below = scene.table.below(needed);
            for (const { id } of below) cost.set(id, (cost.get(id) ?? 0) + each.ms / below.length);
          }
          scene.now += each.ms;
        }
        // A pull ends when nobody is awaited any more: the server answers it in the same turn.
        for (const needed of [...pulls]) {
          if (scene.table.below(needed).length > 0) continue;
          pulls.splice(pulls.indexOf(needed), 1);
          scene.ledger.end(needed);
        }
      }
      for (const id of ids) expect(scene.costOf(id)).toBeCloseTo(cost.get(id) ?? 0, 6);
    }),
    { seed: 7, numRuns: 500 },
  );
});
