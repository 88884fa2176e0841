import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { adam } from '../../../src/core/optim/adam.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { unknownSchedule } from '../../../src/core/server/optimizerImage.js';
import { decodeRecord, encodeRecord } from '../../../src/core/server/recordCodec.js';
import type {
  CloseRecord,
  JournalRecord,
  OptimizerRecord,
  PushRecord,
} from '../../../src/core/server/records.js';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const uint = fc.maxSafeNat();
const rates = fc.array(fc.double({ noDefaultInfinity: true, noNaN: true }), { maxLength: 4 });
const values = fc.float32Array({ maxLength: 10 });
const worker = text;
const model = fc.constantFrom(
  asp(),
  bsp({ backupWorkers: 2 }),
  bsp({ aggregate: 'trimmedMean', faultyShare: 0.2 }),
  ssp({ staleness: 4 }),
);
const fault = fc.record(
  { code: fc.constantFrom('PS_NOT_FINITE' as const, 'PS_STORAGE' as const), message: text, tensor: text },
  { requiredKeys: ['code', 'message'] },
);
/** Examples of a data shard, as a push counts them. */
const range = fc
  .tuple(
    uint,
    uint,
    fc.nat(2 ** 32 - 1),
    fc.uniqueArray(fc.nat(2 ** 40), { minLength: 4, maxLength: 4 }),
    uint,
  )
  .map(([dataSet, epoch, dataShard, positions, lease]) => {
    const [begin = 0, from = 0, to = 0, end = 0] = positions.sort((a, b) => a - b);
    return { dataSet, epoch, dataShard, begin, end, from, to, lease };
  });
const metrics = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 8 }).filter((name) => name !== '__proto__'),
  fc.double({ noNaN: true }),
  { minKeys: 1, maxKeys: 4, noNullPrototype: false },
);
const data = fc.record(
  { range, metrics, isDuplicate: fc.boolean() },
  { requiredKeys: ['range', 'isDuplicate'] },
);
const dataSet = fc.record({
  ...{ size: uint, shardSize: uint, epochs: uint, seed: uint },
  ...{ shuffle: fc.boolean(), hasItems: fc.boolean() },
});
const best = fc.record({ epoch: uint, value: fc.double({ noNaN: true }) });
const push: fc.Arbitrary<PushRecord> = fc.record(
  {
    kind: fc.constant('push' as const),
    worker,
    epoch: uint,
    seq: uint,
    clock: uint,
    outcome: fc.constantFrom('applied', 'buffered', 'scaled', 'dropped', 'refused'),
    fault,
    delay: uint,
    tick: fc.option(uint, { nil: undefined }),
    tensors: fc.option(fc.uniqueArray(fc.nat(70_000)), { nil: undefined }),
    gradient: values,
    factor: fc.double({ noNaN: true }),
    clipValue: fc.constantFrom(Number.POSITIVE_INFINITY, 0.5),
    rates,
    data,
  },
  {
    requiredKeys: [
      ...(['kind', 'worker', 'epoch', 'seq', 'clock', 'outcome', 'delay', 'tick', 'tensors'] as const),
      ...(['gradient', 'factor', 'clipValue', 'rates'] as const),
    ],
  },
);
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  push,
  fc.record({ kind: fc.constant('session' as const), worker, key: text, epoch: uint }),
  fc.record({ kind: fc.constantFrom('enter' as const, 'leave' as const, 'expire' as const), worker }),
  fc.record({ kind: fc.constant('tick' as const), worker, clock: uint }),
  fc.record({ kind: fc.constant('close' as const), clock: uint, rates }),
  fc.record({ kind: fc.constant('close' as const), clock: uint, rates, isFailed: fc.constant(true) }),
  fc.record({ kind: fc.constant('consistency' as const), model, rates }),
  fc.record({ kind: fc.constant('load' as const), values }),
  fc.record({ kind: fc.constant('dataSet' as const), number: uint, dataSet }),
  fc.record(
    { kind: fc.constant('epoch' as const), epoch: uint, isEnd: fc.boolean(), best },
    { requiredKeys: ['kind', 'epoch', 'isEnd'] },
  ),
  fc.record({ kind: fc.constant('lease' as const), worker, lease: uint, dataShard: fc.nat(2 ** 32 - 1) }),
  fc.record({ kind: fc.constant('release' as const), worker, leases: fc.array(uint, { maxLength: 5 }) }),
  fc.record({
    kind: fc.constant('load' as const),
    values,
    rows: fc.array(fc.record({ table: fc.nat(9), count: fc.nat(1000) }), { maxLength: 3 }),
  }),
);

function roundTrip(given: JournalRecord, known: Parameters<typeof decodeRecord>[2] = []): JournalRecord {
  const { head, payload } = encodeRecord(given);
  return decodeRecord(head.slice(), payload, known);
}

describe('records as bytes', () => {
  it('come back as they were, also with strings that are no Unicode', () => {
    fc.assert(
      fc.property(record, (given) => {
        expect(roundTrip(given)).toEqual(given);
      }),
      { numRuns: 2000 },
    );
    expect(roundTrip({ kind: 'enter', worker: 'a\ud800b' })).toEqual({ kind: 'enter', worker: 'a\ud800b' });
  });

  it('keep −0 and every bit of a rate', () => {
    const rate = Number('0.1') + Number.EPSILON;
    const { rates: found } = roundTrip({ kind: 'close', clock: 1, rates: [-0, rate, 5e-324] }) as CloseRecord;
    expect(Object.is(found[0], -0)).toBe(true);
    expect(found.slice(1)).toEqual([rate, 5e-324]);
  });

  it('keep optimizers that are data, and name those that are code', () => {
    const back = roundTrip({ kind: 'optimizer', optimizer: adam({ beta1: 0.5 }), learningRate: 0.25 });
    expect(back).toEqual({ kind: 'optimizer', optimizer: adam({ beta1: 0.5 }), learningRate: 0.25 });
    const own: UserOptimizer = { name: 'own', slots: ['s'], learningRate: 3, apply: () => {} };
    const known = roundTrip({ kind: 'optimizer', optimizer: own }, [own]) as OptimizerRecord;
    expect(known.optimizer).toMatchObject({ name: 'own', slots: ['s'], learningRate: 3 });
    const lost = roundTrip({ kind: 'optimizer', optimizer: own }) as { optimizer: UserOptimizer };
    const apply = (): void =>
      lost.optimizer.apply(new Float32Array(1), new Float32Array(1), [], { learningRate: 1, step: 1 });
    expect(apply).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }));
    const schedule = roundTrip({ kind: 'optimizer', learningRate: (version) => version });
    expect((schedule as OptimizerRecord).learningRate).toBe(unknownSchedule);
  });

  it('keep the options that a start brought', () => {
    const settings: JournalRecord = {
      kind: 'settings',
      optimizers: [sgd({ learningRate: 2 })],
      configured: { optimizers: [adam()], consistency: bsp() },
    };
    expect(roundTrip(settings)).toEqual(settings);
  });

  it('that are cut off, too long, or of no known kind are refused', () => {
    fc.assert(
      fc.property(push, (given) => {
        const head = encodeRecord(given).head.slice();
        for (let length = 0; length < head.length; length++) {
          expect(() => decodeRecord(head.subarray(0, length), given.gradient, [])).toThrow(
            expect.objectContaining({ code: 'PS_CORRUPT' }),
          );
        }
        const longer = Uint8Array.of(...head, 0);
        expect(() => decodeRecord(longer, given.gradient, [])).toThrow(
          expect.objectContaining({ code: 'PS_CORRUPT' }),
        );
      }),
      { numRuns: 50 },
    );
    const newer = Uint8Array.of(99, 0, 0);
    expect(() => decodeRecord(newer, new Float32Array(0), [])).toThrow(
      expect.objectContaining({ code: 'PS_VERSION' }),
    );
    const { head } = encodeRecord({ kind: 'enter', worker: 'a' });
    expect(() => decodeRecord(head.slice(), new Float32Array(1), [])).toThrow(
      expect.objectContaining({ code: 'PS_CORRUPT' }),
    );
  });
});
