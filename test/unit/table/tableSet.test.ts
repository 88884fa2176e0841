import { describe, expect, it } from 'vitest';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { EmbeddingTable } from '../../../src/core/table/embeddingTable.js';
import { runToEnd } from '../../../src/core/table/job.js';
import { TableSet } from '../../../src/core/table/tableSet.js';
import { sortIds } from '../../../src/core/tensor/rowIds.js';

const spec = { name: 't', dim: 1, init: 'ones', maxRows: 3, evict: 'lastUse', admitAfter: 1 } as const;

function newSet(): TableSet {
  const parts = { kernels: referenceKernels, seed: 0, allocate: (n: number) => new Float32Array(n) };
  return new TableSet([new EmbeddingTable(spec, { ...parts, rule: updateRuleOf(adagrad()) })], [0]);
}

const wordsOf = (ids: readonly number[]): Uint32Array => sortIds('ids', ids).words;

function read(set: TableSet, ids: readonly number[]): number[] {
  const out = new Float32Array(ids.length);
  set.tables[0]?.read(wordsOf(ids), 0, ids.length, out);
  return [...out];
}

describe('rows that are replaced', () => {
  it('are seen when they are published, all of them, and evicted in their order', () => {
    const set = newSet();
    runToEnd(set.update([{ table: 0, words: wordsOf([1, 2]), values: Float32Array.of(1, 1) }], HOW));
    set.publish();
    const before = read(set, [1, 2, 7]);
    runToEnd(set.replace([{ table: 0, words: Uint32Array.of(9, 0, 1, 0), values: Float32Array.of(5, 6) }]));
    expect(read(set, [1, 2, 7])).toEqual(before);
    set.publish();
    expect(read(set, [1, 2, 7, 9])).toEqual([6, 1, 1, 5]);
    const [table] = set.tables as [EmbeddingTable];
    expect([...(table.order?.entries() ?? [])].map(([, low]) => low)).toEqual([9, 1]);
    expect(table.counts).toMatchObject({ born: 4, evicted: 0 });
  });

  it('are read whole by who keeps a copy, whatever it has seen', () => {
    const set = newSet();
    const log = (set.tables[0] as EmbeddingTable).watch(100);
    const mark = log.end;
    runToEnd(set.replace([{ table: 0, words: Uint32Array.of(9, 0), values: Float32Array.of(5) }]));
    set.publish();
    expect(set.tables[0]?.changes?.reaches(mark)).toBe(false);
    expect(set.tables[0]?.changes?.reaches(log.end)).toBe(true);
  });
});

const HOW = { factor: 1, clipValue: Number.POSITIVE_INFINITY, rates: [0.5] };
