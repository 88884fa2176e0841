import { describe, expect, it } from 'vitest';
import { bsp } from '../../../src/core/consistency/consistency.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { decodeRecord, encodeRecord } from '../../../src/core/server/recordCodec.js';
import type { JournalRecord } from '../../../src/core/server/records.js';
import {
  captureJob,
  restoreState,
  restoreTables,
  type StateImage,
} from '../../../src/core/server/stateImage.js';
import { runToEnd } from '../../../src/core/table/job.js';
import { sortIds } from '../../../src/core/tensor/rowIds.js';
import { differenceOf } from '../../../src/testing/check/stateDifference.js';
import { newCore, TestServer, type TestServerOptions } from './kit.js';
import { bytesOfIds, pushRows as push, type PushedRows as Rows } from './rowPushes.js';
import { hashOf } from './stateHash.js';

type Worker = ReturnType<TestServer['worker']>;

const OPTIONS = {
  parameters: { w: { shape: [2] } },
  tables: { words: { dim: 2 }, bias: { dim: 1, optimizer: adagrad({ learningRate: 1 }), maxRows: 3 } },
} as const;

function pullRows(worker: Worker, table: number, ids: readonly number[], training = false): void {
  const payload = bytesOfIds(ids);
  const request = 1000 + table;
  worker.send(
    { t: MessageType.pullRows, request, training, clock: worker.clock, table, bytes: payload.length },
    payload,
  );
}

/** The rows that the server holds, first values where it has none. */
function rowsAt(server: TestServer, table: number, ids: readonly number[]): number[] {
  const found = server.core.state.tables.tables[table];
  const { words, count } = sortIds('ids', ids);
  const out = new Float32Array(count * (found?.spec.dim ?? 0));
  found?.read(words, 0, count, out);
  return [...out];
}

describe('rows', () => {
  it('are updated with the tensors of a push, and raise the version once', () => {
    const server = new TestServer(OPTIONS);
    const a = server.worker('a');
    expect(a.welcome?.tables).toEqual([
      { name: 'words', dim: 2 },
      { name: 'bias', dim: 1 },
    ]);
    push(a, [{ table: 0, ids: [5, 2 ** 40], values: [1, 2, 3, 4] }], [1, 1]);
    push(a, [
      { table: 0, ids: [5], values: [1, 0] },
      { table: 1, ids: [0, 7], values: [2, -3] },
    ]);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0', 'push 2 applied v2, clock 0']);
    expect(server.values).toEqual([-1, -1]);
    expect(rowsAt(server, 0, [4, 5, 2 ** 40])).toEqual([0, 0, -2, -2, -3, -4]);
    expect(rowsAt(server, 1, [0, 7])).toEqual([-1, 1]);
  });

  it('are pulled in the order of their ids, unborn ones with their first values and without taking memory', () => {
    const server = new TestServer({ ...OPTIONS, tables: { words: { dim: 2, init: 'ones' } } });
    const a = server.worker('a');
    push(a, [{ table: 0, ids: [3], values: [1, 2] }]);
    a.lines();
    pullRows(a, 0, [1, 3, 4]);
    expect(a.lines()).toEqual(['pull 1000: v1 [1 1 0 -1 1 1]']);
    expect(server.core.state.tables.tables[0]?.rows).toBe(1);
  });

  it('for training wait for the staleness bound, and enter the clock table', () => {
    const server = new TestServer({ ...OPTIONS, consistency: bsp() });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.enter();
    b.enter();
    a.lines();
    push(a, [{ table: 0, ids: [1], values: [4, 8] }], undefined, { tick: 1 });
    a.clock = 1;
    pullRows(a, 0, [1], true);
    expect(a.lines()).toEqual(['push 1 buffered v0, clock 1']);
    push(b, [{ table: 0, ids: [1, 2], values: [0, 0, 2, 2] }], undefined, { tick: 1 });
    expect(a.lines()).toEqual(['pull 1000: v1 [-2 -4]']);
    expect(rowsAt(server, 0, [2])).toEqual([-1, -1]);
  });

  it.each<[string, readonly Rows[], string]>([
    ['ids that fall', [{ table: 0, ids: [5, 4], values: [1, 1, 1, 1] }], 'PS_ROW_IDS'],
    ['ids that are there twice', [{ table: 0, ids: [4, 4], values: [1, 1, 1, 1] }], 'PS_ROW_IDS'],
    ['an id of 2^53', [{ table: 0, ids: [2 ** 53], values: [1, 1] }], 'PS_ROW_IDS'],
    ['values that are missing', [{ table: 0, ids: [4, 5], values: [1] }], 'PS_WRONG_LENGTH'],
    ['a value that is not finite', [{ table: 0, ids: [4], values: [1, Number.NaN] }], 'PS_NOT_FINITE'],
    [
      'more rows than the table may have',
      [{ table: 1, ids: [1, 2, 3, 4], values: [1, 1, 1, 1] }],
      'PS_TABLE_FULL',
    ],
    ['a table that is not there', [{ table: 2, ids: [1], values: [1] }], 'PS_UNKNOWN_TENSOR'],
  ])('a push with %s is refused, and changes nothing', (_, rows, code) => {
    const server = new TestServer(OPTIONS);
    const a = server.worker('a');
    push(a, [{ table: 0, ids: [4], values: [1, 1] }]);
    a.lines();
    const before = hashOf(server.core.state, false);
    push(a, rows, [1, 1]);
    expect(a.lines()).toEqual([expect.stringContaining(code)]);
    expect(hashOf(server.core.state, false)).toBe(before);
  });

  it.each<[string, number, readonly number[], string]>([
    ['ids that fall', 0, [5, 4], 'PS_ROW_IDS'],
    ['a table that is not there', 2, [1], 'PS_UNKNOWN_TENSOR'],
  ])('a pull with %s is refused, and changes nothing', (_, table, ids, code) => {
    const server = new TestServer(OPTIONS);
    const a = server.worker('a');
    const before = hashOf(server.core.state);
    pullRows(a, table, ids, true);
    expect(a.lines()).toEqual([expect.stringContaining(code)]);
    expect(hashOf(server.core.state)).toBe(before);
  });

  it('a pull of more than there is memory for is refused; memory that was given back serves again', () => {
    const server = new TestServer({ ...OPTIONS, limits: { stagingBytes: 128 } });
    const a = server.worker('a');
    for (let i = 0; i < 3; i++) pullRows(a, 0, [1, 2, 3, 4]);
    pullRows(a, 0, [1, 2, 3, 4, 5]);
    expect(a.lines().map((line) => line.split(' ')[0])).toEqual(['pull', 'pull', 'pull', 'request']);
  });

  it('ids may come in several messages; out of place they end the connection', () => {
    const server = new TestServer(OPTIONS);
    const a = server.worker('a');
    const ids = bytesOfIds([1, 2, 3]);
    const begin = { t: MessageType.pullRows, request: 1001, training: false, clock: 0, table: 1 } as const;
    a.send({ ...begin, bytes: 24 }, ids.subarray(0, 8));
    a.send({ t: MessageType.rowIds, request: 1001, offset: 8 }, ids.subarray(8));
    expect(a.lines()).toEqual(['pull 1001: v0 [0 0 0]']);
    a.send({ ...begin, bytes: 24 }, ids.subarray(0, 8));
    a.send({ t: MessageType.rowIds, request: 1001, offset: 16 }, ids.subarray(16));
    expect(a.lines().join()).toContain('PS_PROTOCOL');
    expect(a.isOpen).toBe(false);
  });
});

describe('the state with rows', () => {
  /** A server that has seen births, evictions and buffered rows; `journal` gets its records. */
  function worked(journal: (record: JournalRecord) => void = () => {}): TestServer {
    const options: TestServerOptions = { ...OPTIONS, consistency: bsp(), journal, isDurable: true };
    const server = new TestServer(options);
    const [a, b] = [server.worker('a'), server.worker('b')];
    for (let step = 0; step < 6; step++) {
      for (const [k, worker] of [a, b].entries()) {
        const rows = [
          { table: 0, ids: [step, step + 9 + k], values: [1, step, k, 0.5] },
          { table: 1, ids: [step + 5 * k], values: [k - step] },
        ];
        // The last clock stays open: its rows are buffered.
        const tick = step === 5 && k === 1 ? {} : { tick: step + 1 };
        push(worker, rows, [step, k], tick);
        server.persist();
        if ('tick' in tick) worker.clock = step + 1;
      }
    }
    return server;
  }

  it('is the same after its records have been carried out again, from their bytes', () => {
    const kept: { head: Uint8Array; payload: Float32Array }[] = [];
    const server = worked((record) => {
      const { head, payload } = encodeRecord(record);
      kept.push({ head: head.slice(), payload: payload.slice() });
    });
    const other = newCore({ ...OPTIONS, consistency: bsp() });
    for (const { head, payload } of kept) {
      const job = other.state.apply(decodeRecord(head, payload, []), 0);
      if (job !== undefined) runToEnd(job);
    }
    expect(server.core.state.tables.tables[1]?.counts.evicted).toBeGreaterThan(0);
    expect(differenceOf(server.core.state, other.state)).toBeUndefined();
  });

  it('is the same after it was saved and restored, and goes on to the same', () => {
    const server = worked();
    let image: StateImage | undefined;
    const job = captureJob(
      server.core.state,
      (length) => new Float32Array(length),
      (captured) => {
        image = captured;
      },
    );
    while (!job.run({ elements: 3 }));
    const { meta, arrays } = image as StateImage;
    const plain = JSON.parse(JSON.stringify(meta)) as typeof meta;
    const other = newCore({ ...OPTIONS, consistency: bsp() });
    const into = restoreState(other.state, plain, { known: [], now: 0 });
    into.values.set(arrays.values);
    for (const [i, slot] of arrays.slots.entries()) into.slots[i]?.set(slot);
    for (const [i, each] of arrays.scalars.entries()) into.scalars[i]?.splice(0, each.length, ...each);
    for (const [i, parts] of arrays.sums.entries()) {
      for (const [k, part] of parts.entries()) into.sums[i]?.[k]?.set(part);
    }
    for (const [i, sums] of arrays.rowSums.entries()) {
      for (const [k, { words, values }] of sums.entries()) {
        into.rowSums[i]?.[k]?.words.set(words);
        into.rowSums[i]?.[k]?.values.set(values);
      }
    }
    for (const [i, from] of arrays.tables.entries()) {
      const to = into.tables[i];
      to?.ids.set(from.ids);
      to?.values.set(from.values);
      to?.uses.set(from.uses);
      for (const [k, slot] of from.slots.entries()) to?.slots[k]?.set(slot);
    }
    restoreTables(other.state, plain, into);
    expect(differenceOf(server.core.state, other.state)).toBeUndefined();
    const more: JournalRecord = { kind: 'close', clock: 5, rates: [1, 1] };
    for (const { state } of [server.core, other])
      runToEnd(state.apply(more, 0) as NonNullable<ReturnType<typeof state.apply>>);
    expect(differenceOf(server.core.state, other.state)).toBeUndefined();
  });

  it('is refused by a server whose tables are others', () => {
    let image: StateImage | undefined;
    runToEnd(
      captureJob(
        worked().core.state,
        (length) => new Float32Array(length),
        (captured) => {
          image = captured;
        },
      ),
    );
    const { meta } = image as StateImage;
    for (const words of [{ dim: 3 }, { dim: 2, maxRows: 7 }, { dim: 2, admitAfter: 2 }]) {
      const other = newCore({ ...OPTIONS, tables: { ...OPTIONS.tables, words } });
      const before = hashOf(other.state);
      const restore = () => restoreState(other.state, meta, { known: [], now: 0 });
      expect(restore).toThrow(/it has the tables "words" \(dim 2/);
      expect(hashOf(other.state)).toBe(before);
    }
  });
});
