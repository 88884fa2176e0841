import { describe, expect, it } from 'vitest';
import { DataProgress, type DataRange } from '../../../src/core/tasks/dataProgress.js';
import { DataQueue } from '../../../src/core/tasks/dataQueue.js';
import { checkDataSet, type DataSet, dataSetDifference } from '../../../src/core/tasks/dataSet.js';

const SET: DataSet = { size: 25, shardSize: 10, epochs: 2, shuffle: false, seed: 0, hasItems: false };

function queue(set: Partial<DataSet> = {}): DataQueue {
  const made = new DataQueue();
  made.begin(1, { ...SET, ...set });
  return made;
}

/** Leases the next data shard to `holder`. */
function lease(of: DataQueue, holder: string): DataRange {
  const next = of.peek();
  if (next === undefined) throw new Error('nothing is free');
  const number = of.leases.last + 1;
  of.lease(holder, number, next.dataShard);
  const { dataShard, begin, end, from } = next;
  const epoch = of.current?.epoch ?? 0;
  return { dataSet: of.current?.number ?? 0, epoch, dataShard, begin, end, from, to: end, lease: number };
}

describe('the queue of data shards', () => {
  it('hands out an epoch in order, the last data shard with what is left', () => {
    const data = queue();
    expect(
      [lease(data, 'a'), lease(data, 'b'), lease(data, 'a')].map(({ begin, end }) => [begin, end]),
    ).toEqual([
      [0, 10],
      [10, 20],
      [20, 25],
    ]);
    expect(data.peek()).toBeUndefined();
  });

  it('hands out again what came back, lowest first, from where it was counted', () => {
    const data = queue();
    const first = lease(data, 'a');
    const second = lease(data, 'a');
    data.advance({ ...first, to: 4 }, undefined);
    data.releaseAll('a');
    expect(data.peek()).toEqual({ dataShard: 0, begin: 0, end: 10, from: 4 });
    lease(data, 'b');
    expect(data.peek()?.dataShard).toBe(second.dataShard);
  });

  it('knows by the lease whose work counts', () => {
    const data = queue();
    const old = lease(data, 'a');
    data.releaseAll('a');
    const present = lease(data, 'b');
    expect(data.isHeld('a', old)).toBe(false);
    expect(data.isHeld('a', present)).toBe(false);
    expect(data.isHeld('b', present)).toBe(true);
    expect(data.isHeld('b', { ...present, end: 9, to: 9 })).toBe(false);
  });

  it('counts an epoch when all of it is counted, and begins the next anew', () => {
    const data = queue();
    for (let i = 0; i < 3; i++) {
      expect(data.isEpochCounted).toBe(false);
      data.advance(lease(data, 'a'), { loss: i });
    }
    expect(data.isEpochCounted).toBe(true);
    expect(data.countedExamples).toBe(25);
    // Means are weighted by examples: 10, 10 and 5.
    expect(data.metrics.means()).toEqual({ loss: (0 * 10 + 1 * 10 + 2 * 5) / 25 });
    data.openEpoch(1);
    expect(data.countedExamples).toBe(0);
    expect(data.metrics.means()).toEqual({});
    expect(lease(data, 'a')).toMatchObject({ epoch: 1, dataShard: 0, from: 0 });
  });

  it('does not hand out a data shard that was counted while nobody held it', () => {
    const data = queue();
    const first = lease(data, 'a');
    data.releaseAll('a');
    data.advance(first, undefined);
    expect(data.peek()?.dataShard).toBe(1);
    // Or while another one held it: then that one's lease ends.
    const second = lease(data, 'a');
    data.releaseAll('a');
    const again = lease(data, 'b');
    data.advance(second, undefined);
    expect(data.isHeld('b', again)).toBe(false);
    expect(data.leases.size).toBe(0);
  });

  it('is the same after it was saved and restored, whatever it holds', () => {
    const data = queue({ shuffle: true });
    data.advance(lease(data, 'a'), { loss: Number.NaN });
    data.advance({ ...lease(data, 'b'), to: 15 }, undefined);
    lease(data, 'a');
    data.releaseAll('a');
    const again = new DataQueue();
    again.restore(JSON.parse(JSON.stringify(data.save())));
    expect(JSON.stringify(again.save())).toBe(JSON.stringify(data.save()));
    expect(again.peek()).toEqual(data.peek());
    expect(again.orderSeed).toBe(data.orderSeed);
    expect(again.leases.last).toBe(3);
  });
});

describe('progress on a shard that has no queue', () => {
  const range = (epoch: number, dataShard: number, from: number, to: number): DataRange => ({
    ...{ dataSet: 1, epoch, dataShard, begin: dataShard * 10, end: dataShard * 10 + 10, from, to, lease: 1 },
  });

  it('counts what begins where the last one ended, and nothing twice', () => {
    const progress = new DataProgress();
    expect(progress.counts(range(0, 3, 30, 34))).toBe(true);
    progress.advance(range(0, 3, 30, 34));
    expect(progress.counts(range(0, 3, 30, 34))).toBe(false);
    expect(progress.counts(range(0, 3, 33, 40))).toBe(false);
    expect(progress.counts(range(0, 3, 35, 40))).toBe(false);
    expect(progress.counts(range(0, 3, 34, 40))).toBe(true);
    expect(progress.advance(range(0, 3, 34, 40))).toBe(true);
    expect(progress.counts(range(0, 3, 30, 34))).toBe(false);
    expect(progress.reached(range(0, 3, 30, 34))).toBe(40);
  });

  it('takes no epoch that can not be the next: it would end all before it', () => {
    const progress = new DataProgress();
    const of = (dataSet: number, epoch: number): DataRange => ({ ...range(epoch, 0, 0, 10), dataSet });
    progress.advance(of(1, 0));
    for (const ahead of [of(1, 2), of(2, 1), of(2 ** 40, 0)]) {
      expect(progress.counts(ahead)).toBe(false);
      expect(progress.reached(ahead)).toBeUndefined();
    }
    expect(progress.counts(of(1, 1))).toBe(true);
    expect(progress.counts(of(3, 0))).toBe(true);
  });

  it('is over with its epoch when a later one begins', () => {
    const progress = new DataProgress();
    progress.advance(range(0, 0, 0, 4));
    progress.advance(range(1, 5, 50, 60));
    expect(progress.counts(range(0, 0, 4, 10))).toBe(false);
    expect(progress.reached(range(0, 0, 4, 10))).toBeUndefined();
    expect(progress.counts(range(1, 0, 0, 10))).toBe(true);
  });
});

describe('the description of a data set', () => {
  it.each([
    ['size', { size: 0 }],
    ['shardSize', { shardSize: 26 }],
    ['shardSize', { shardSize: 0 }],
    ['epochs', { epochs: 0 }],
    ['epochs', { epochs: 1.5 }],
    ['size', { size: 2 ** 53 }],
  ])('refuses a wrong %s', (name, wrong) => {
    expect(() => checkDataSet({ ...SET, ...wrong })).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option: `dataset.${name}` } }),
    );
  });

  it('says what differs', () => {
    expect(dataSetDifference(SET, { ...SET, epochs: 3 })).toBe('epochs is 3, and was 2');
    expect(dataSetDifference(SET, { ...SET })).toBeUndefined();
  });
});
