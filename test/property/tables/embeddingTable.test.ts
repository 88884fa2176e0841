import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadKernels } from '../../../src/core/kernels/loadKernels.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import type { UpdateRule } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { EmbeddingTable, type TableSpec } from '../../../src/core/table/embeddingTable.js';
import type { Job } from '../../../src/core/table/job.js';
import { idAt, sortIds } from '../../../src/core/tensor/rowIds.js';
import { sumByRow } from '../../../src/core/tensor/rowMoves.js';
import { TableModel } from './tableModel.js';

const rules: UpdateRule[] = [
  sgd({ learningRate: 1 }),
  momentum({ learningRate: 1 }),
  adagrad({ learningRate: 1 }),
  adam({ learningRate: 1 }),
  ftrl({ learningRate: 1, l1: 0.01 }),
].map(updateRuleOf);

/** Ids that meet often, and some whose words are at their bounds. */
const anyId = fc.oneof(
  { weight: 8, arbitrary: fc.nat(60) },
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 53 - 1, 3 * 2 ** 40),
);
const anyNumber = fc.integer({ min: -64, max: 64 }).map((n) => n / 16);

const anyTable = fc
  .record({
    dim: fc.constantFrom(1, 2, 3, 5, 70),
    init: fc.constantFrom('zeros' as const, 'ones' as const, 'normal' as const, 'uniform' as const),
    maxRows: fc.constantFrom(12, 20, Number.POSITIVE_INFINITY),
    evict: fc.constantFrom('lastUse' as const, 'leastCount' as const),
    admitAfter: fc.constantFrom(1, 1, 2, 3),
    rule: fc.constantFrom(...rules),
    seed: fc.nat(1000),
    isInside: fc.boolean(),
  })
  .map(({ rule, seed, isInside, ...rest }) => ({
    spec: { name: 'words', ...rest } satisfies TableSpec,
    rule,
    seed,
    isInside,
  }));

const anyPush = fc.record({
  ids: fc.array(anyId, { maxLength: 12 }),
  numbers: fc.array(anyNumber, { minLength: 1, maxLength: 7 }),
  rate: fc.constantFrom(0.5, 0.125),
  factor: fc.constantFrom(1, 1, 0.5),
  clipValue: fc.constantFrom(Number.POSITIVE_INFINITY, 1),
  /** Elements of a slice; a small one cuts the update into many turns. */
  slice: fc.constantFrom(1, 40, 100, 1e9),
  read: fc.array(anyId, { minLength: 1, maxLength: 8 }),
});

const { kernels, allocate: allocateInside } = loadKernels();
const allocateOutside = (length: number): Float32Array => new Float32Array(length);

/** `isInside`: its rows stand in the memory of the kernels. */
function tableOf(spec: TableSpec, rule: UpdateRule, seed: number, isInside: boolean): EmbeddingTable {
  const allocate = isInside ? allocateInside : allocateOutside;
  return new EmbeddingTable(spec, { rule, kernels, seed, allocate });
}

function expectEqual(table: EmbeddingTable, model: TableModel, ids: readonly number[]): void {
  const { dim } = table.spec;
  const { words, count } = sortIds('ids', [...new Set(ids)]);
  const out = new Float32Array(count * dim);
  table.read(words, 0, count, out);
  for (let i = 0; i < count; i++) {
    const expected = model.read(idAt(words, i));
    expect(new Uint32Array(out.slice(i * dim, (i + 1) * dim).buffer)).toEqual(
      new Uint32Array(expected.buffer),
    );
  }
}

describe('a table', () => {
  it('equals a Map, whatever is pushed, and readers see nothing of an update that is under way', () => {
    fc.assert(
      fc.property(
        anyTable,
        fc.array(anyPush, { maxLength: 14 }),
        ({ spec, rule, seed, isInside }, pushes) => {
          const table = tableOf(spec, rule, seed, isInside);
          const model = new TableModel(spec, rule, seed);
          for (const { ids, numbers, rate, factor, clipValue, slice, read } of pushes) {
            const sorted = sortIds('ids', ids);
            const given = Float32Array.from(
              { length: ids.length * spec.dim },
              (_, i) => numbers[i % numbers.length] as number,
            );
            const values = sumByRow(sorted, given, spec.dim);
            const job: Job = table.begin(
              { words: sorted.words, values, factor, clipValue, rate },
              slice < 1e9,
            );
            while (!job.run({ elements: slice }))
              expectEqual(table, model, [...read, ...ids, ...model.rows.keys()]);
            table.end();
            const gradient = new Map<number, Float32Array>();
            for (let i = 0; i < sorted.count; i++) {
              gradient.set(idAt(sorted.words, i), values.slice(i * spec.dim, (i + 1) * spec.dim));
            }
            model.update(gradient, rate, factor, clipValue);
            expectEqual(table, model, [...read, ...ids, ...model.rows.keys()]);
            expect(table.rows).toBe(model.rows.size);
            expect(table.counts.evicted).toBe(model.evicted);
            expect(table.counts.notAdmitted).toBe(model.notAdmitted);
          }
        },
      ),
      { seed: 1, numRuns: 400 },
    );
  });
});
