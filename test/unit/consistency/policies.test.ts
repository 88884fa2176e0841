import { describe, expect, it } from 'vitest';
import { BspPolicy } from '../../../src/core/consistency/bsp.js';
import { ClockTable } from '../../../src/core/consistency/clockTable.js';
import { asp, bsp, checkConsistency, policyOf, ssp } from '../../../src/core/consistency/consistency.js';

/** A table of workers at the given clocks. */
function tableAt(clocks: Record<string, number>, minClock = 0): ClockTable {
  const table = new ClockTable();
  table.restore(Object.entries(clocks), minClock);
  return table;
}

describe('ssp', () => {
  it.each([
    [0, 4, false],
    [1, 4, false],
    [2, 4, true],
    [3, 4, true],
    [2, 5, false],
    [0, 0, true],
  ])('s = %i: a pull at clock %i with minClock 2 is answered: %s', (staleness, clock, answered) => {
    const table = tableAt({ a: 2, b: 9 });
    expect(policyOf(ssp({ staleness }), table).mayPull(clock, table)).toBe(answered);
    expect(policyOf(ssp({ staleness }), table).mayReadOld(clock, 2)).toBe(answered);
  });

  it('awaits those below c − s', () => {
    const policy = policyOf(ssp({ staleness: 3 }), tableAt({}));
    expect(policy.awaitedBelow(10, tableAt({}))).toBe(7);
  });

  it('applies every update as it comes, and closes nothing', () => {
    const table = tableAt({ a: 2 });
    const policy = policyOf(ssp({ staleness: 1 }), table);
    expect([policy.route(0, table), policy.route(2, table)]).toEqual(['apply', 'apply']);
    expect(policy.closable(table, 5)).toBeUndefined();
    expect([policy.entryFloor, policy.onClosed(3, table), policy.save()]).toEqual([0, 0, []]);
  });
});

describe('asp', () => {
  it('never waits and awaits nobody', () => {
    const table = tableAt({ a: 0, b: 1e9 });
    const policy = policyOf(asp(), table);
    expect(policy.mayPull(1e9, table)).toBe(true);
    expect(policy.mayReadOld(1e9, 0)).toBe(true);
    expect(table.below(policy.awaitedBelow(1e9, table))).toEqual([]);
  });
});

describe('bsp', () => {
  it('a pull waits for the clocks below its own, and reads no older version', () => {
    const table = tableAt({ a: 0, b: 0 });
    const policy = policyOf(bsp(), table);
    expect([policy.mayPull(0, table), policy.mayPull(1, table)]).toEqual([true, false]);
    expect(policy.mayReadOld(0, 5)).toBe(false);
    expect(policy.onClosed(0, table)).toBe(1);
    expect([policy.mayPull(1, table), policy.mayPull(2, table)]).toEqual([true, false]);
    expect(policy.awaitedBelow(2, table)).toBe(2);
  });

  it('buffers updates of the open clock and later ones; those of closed clocks are late', () => {
    const table = tableAt({ a: 0 });
    const policy = policyOf(bsp(), table);
    policy.onClosed(0, table);
    expect([0, 1, 2].map((clock) => policy.route(clock, table))).toEqual(['late', 'buffer', 'buffer']);
  });

  it('closes a clock when all are past it', () => {
    const policy = policyOf(bsp(), tableAt({}));
    expect(policy.closable(tableAt({ a: 1, b: 0 }), 0)).toBeUndefined();
    expect(policy.closable(tableAt({ a: 1, b: 1 }), undefined)).toBe(0);
    expect(policy.closable(tableAt({ a: 1, b: 3 }), 0)).toBe(0);
  });

  it('closes clocks that nobody pushed for with the next one that somebody did, or all at once', () => {
    const policy = policyOf(bsp(), tableAt({}));
    expect(policy.closable(tableAt({ a: 9, b: 7 }), 3)).toBe(3);
    expect(policy.onClosed(3, tableAt({ a: 9, b: 7 }))).toBe(4);
    expect(policy.closable(tableAt({ a: 9, b: 7 }), 8)).toBe(6);
    expect(policy.closable(tableAt({ a: 2 ** 52 }), undefined)).toBe(2 ** 52 - 1);
  });

  it('with nobody left closes what is buffered', () => {
    const policy = policyOf(bsp(), tableAt({}));
    expect(policy.closable(tableAt({}), undefined)).toBeUndefined();
    expect(policy.closable(tableAt({}), 0)).toBe(0);
  });

  it('lets nobody in below the open clock once one has closed', () => {
    const policy = policyOf(bsp(), tableAt({}));
    expect(policy.entryFloor).toBe(0);
    policy.onClosed(0, tableAt({}));
    expect(policy.entryFloor).toBe(1);
  });

  it('begins at the highest clock, and is SSP(0) until everyone is there', () => {
    const table = tableAt({ a: 3, b: 5 });
    const policy = policyOf(bsp(), table);
    expect([3, 4, 5].map((clock) => policy.mayPull(clock, table))).toEqual([true, false, false]);
    expect([3, 4, 5].map((clock) => policy.route(clock, table))).toEqual(['apply', 'apply', 'buffer']);
    expect(policy.closable(table, 5)).toBeUndefined();
    expect(policy.entryFloor).toBe(0);
    const reached = tableAt({ a: 5, b: 5 });
    expect([5, 6].map((clock) => policy.mayPull(clock, reached))).toEqual([true, false]);
    expect(policy.closable(tableAt({ a: 6, b: 6 }), 5)).toBe(5);
  });

  describe('with backup workers', () => {
    const closed = (policy: ReturnType<typeof policyOf>, clocks: Record<string, number>): boolean =>
      policy.closable(tableAt(clocks), 0) !== undefined;

    it('closes when n − b have ticked, n being the size when the clock opened', () => {
      const policy = new BspPolicy(1, tableAt({ a: 0, b: 0, c: 0 }));
      expect(closed(policy, { a: 1, b: 0, c: 0 })).toBe(false);
      expect(closed(policy, { a: 1, b: 1, c: 0 })).toBe(true);
      // Two that joined since do not count.
      expect(closed(policy, { a: 1, b: 1, c: 0, d: 0, e: 0 })).toBe(true);
    });

    it('takes n anew when a clock opens', () => {
      const policy = new BspPolicy(1, tableAt({ a: 0, b: 0 }));
      policy.onClosed(0, tableAt({ a: 1, b: 1, c: 1, d: 1 }));
      expect(closed(policy, { a: 2, b: 2, c: 1, d: 1 })).toBe(false);
      expect(closed(policy, { a: 2, b: 2, c: 2, d: 1 })).toBe(true);
    });

    it('waits for one at least, and for all that are left', () => {
      const policy = new BspPolicy(5, tableAt({ a: 0, b: 0 }));
      expect(closed(policy, { a: 0, b: 0 })).toBe(false);
      expect(closed(policy, { a: 1, b: 0 })).toBe(true);
      const two = new BspPolicy(1, tableAt({ a: 0, b: 0, c: 0 }));
      expect(closed(two, { a: 1 })).toBe(true);
    });

    it('begun with nobody, counts those that are there', () => {
      const policy = new BspPolicy(1, tableAt({}));
      expect(closed(policy, { a: 1, b: 0, c: 0 })).toBe(false);
      expect(closed(policy, { a: 1, b: 1, c: 0 })).toBe(true);
    });
  });

  it('goes on from what was saved', () => {
    const policy = new BspPolicy(1, tableAt({ a: 2, b: 2, c: 2 }));
    policy.onClosed(2, tableAt({ a: 3, b: 3, c: 2, d: 3 }));
    const restored = new BspPolicy(1, tableAt({}));
    restored.restore(policy.save());
    expect(restored.save()).toEqual([2, 3, 4]);
    expect(restored.entryFloor).toBe(3);
    expect(restored.closable(tableAt({ a: 4, b: 4, c: 3, d: 3 }), 3)).toBeUndefined();
  });
});

describe('the models', () => {
  it('are frozen plain data, and survive JSON', () => {
    const robust = bsp({ aggregate: 'krum', faultyShare: 0.3 });
    for (const model of [bsp({ backupWorkers: 2 }), robust, ssp({ staleness: 4 }), asp()]) {
      expect(Object.isFrozen(model)).toBe(true);
      expect(checkConsistency('consistency', JSON.parse(JSON.stringify(model)))).toEqual(model);
    }
    expect(bsp()).toEqual({ name: 'bsp', backupWorkers: 0 });
  });

  it.each([-1, 1.5, '3', null, Number.NaN, Number.POSITIVE_INFINITY])(
    'ssp refuses a staleness of %s',
    (staleness) => {
      expect(() => ssp({ staleness } as never)).toThrow(/ssp\.staleness must be an integer from 0.*asp\(\)/);
    },
  );

  it.each([undefined, null, 3])('ssp refuses %s as its options', (options) => {
    expect(() => ssp(options as never)).toThrow(/ssp\.staleness/);
  });

  it('bsp keeps how updates are merged, and the share that may be faulty', () => {
    expect(bsp({ aggregate: 'mean' })).toEqual({ name: 'bsp', backupWorkers: 0 });
    const robust = { name: 'bsp', backupWorkers: 0, aggregate: 'median', faultyShare: 0.25 };
    expect(bsp({ aggregate: 'median' })).toEqual(robust);
  });

  it.each([
    [{ aggregate: 'average' }, /bsp\.aggregate must be 'mean', 'median', 'trimmedMean', 'krum'/],
    [{ aggregate: 'krum', faultyShare: 0.5 }, /bsp\.faultyShare must be a number from 0 to below 0\.5/],
    [{ aggregate: 'krum', faultyShare: '0.1' }, /bsp\.faultyShare/],
    [{ faultyShare: 0.1 }, /bsp\.faultyShare must be left out with 'mean'/],
  ])('bsp refuses %j', (options, message) => {
    expect(() => bsp(options as never)).toThrow(message);
  });

  it.each([-1, 0.5, '1', null])('bsp refuses %s backup workers', (backupWorkers) => {
    expect(() => bsp({ backupWorkers } as never)).toThrow(/bsp\.backupWorkers must be an integer from 0/);
  });

  it.each([null, 3, 'all'])('bsp refuses %s as its options', (options) => {
    expect(() => bsp(options as never)).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }));
  });

  it('a misspelt option is not passed over', () => {
    expect(() => bsp({ backupWorker: 1 } as never)).toThrow(/backupWorker\b/);
    expect(() => ssp({ staleness: 1, bound: 2 } as never)).toThrow(/bound/);
  });

  it.each([undefined, null, 'ssp', 5, {}, { name: 'dssp' }, { name: 'ssp' }])(
    'checkConsistency refuses %j',
    (given) => {
      expect(() => checkConsistency('consistency', given)).toThrow(
        expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }),
      );
    },
  );
});
