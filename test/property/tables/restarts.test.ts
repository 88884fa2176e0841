/**
 * Tables of a stored server against a plain `Map`: pushes by several workers, pulls, evictions, loads, checkpoints (of
 * all rows, or of what has changed), other learning rates and restarts (by kill, or without power) in any order. Births, admissions and evictions go on after a
 * recovery as if nothing had been.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import type { BuiltInOptimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { EmbeddingTable } from '../../../src/core/table/embeddingTable.js';
import { differenceOf } from '../../../src/testing/check/stateDifference.js';
import { MemoryDisk } from '../../unit/storage/memoryDisk.js';
import {
  StoredServer,
  type StoredServerOptions,
  type StoredWorker,
} from '../../unit/storage/storedServer.js';
import { TableModel } from './tableModel.js';

const optimizers: readonly BuiltInOptimizer[] = [
  sgd({ learningRate: 0.5 }),
  momentum({ learningRate: 0.5 }),
  adagrad({ learningRate: 0.5 }),
  adam({ learningRate: 0.5 }),
  ftrl({ learningRate: 0.5, l1: 0.01 }),
];

/** Ids that meet often, and some whose words are at their bounds. */
const anyId = fc.oneof(
  { weight: 9, arbitrary: fc.nat(40) },
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 3 * 2 ** 40),
);

const anyTable = fc.record({
  dim: fc.constantFrom(1, 2, 3),
  init: fc.constantFrom('zeros' as const, 'normal' as const, 'uniform' as const),
  maxRows: fc.constantFrom(12, 20, Number.POSITIVE_INFINITY),
  evict: fc.constantFrom('lastUse' as const, 'leastCount' as const),
  // Its counters are a mebibyte in every checkpoint.
  admitAfter: fc.oneof({ weight: 7, arbitrary: fc.constant(1) }, fc.constantFrom(2, 3)),
  optimizer: fc.constantFrom(...optimizers),
});

const anyAct = fc.record({
  what: fc.constantFrom(
    ...(['push', 'push', 'push', 'push', 'push', 'push', 'pull', 'pull'] as const),
    ...(['checkpoint', 'checkpoint', 'rate', 'load', 'kill', 'powerLoss'] as const),
  ),
  who: fc.nat(1),
  ids: fc.array(fc.array(anyId, { maxLength: 10 }), { minLength: 2, maxLength: 2 }),
  seed: fc.nat(1000),
});
type Act = typeof anyAct extends fc.Arbitrary<infer T> ? T : never;

const TABLES = ['users', 'items'] as const;

/** A stored server with two tables, and their models. */
class Play {
  #server: StoredServer;
  readonly #models: readonly TableModel[];
  readonly #options: StoredServerOptions;
  readonly #random: Random;
  #workers: (StoredWorker | undefined)[] = [];
  #requests = 0;
  #processes = 0;
  #pushed = 0;

  constructor(tables: readonly (typeof anyTable extends fc.Arbitrary<infer T> ? T : never)[], seed: number) {
    this.#random = new Random(seed);
    const [users, items] = tables as [(typeof tables)[0], (typeof tables)[0]];
    // The first table shares the server's optimizer.
    const { optimizer, ...shared } = users;
    this.#options = { tables: { users: shared, items }, optimizer, seed };
    this.#models = tables.map((each, i) => {
      return new TableModel({ name: TABLES[i] as string, ...each }, updateRuleOf(each.optimizer), seed);
    });
    this.#server = StoredServer.open(new MemoryDisk(), this.#options);
  }

  act({ what, who, ids, seed }: Act): void {
    if (what === 'push') this.#push(who, ids, new Random(seed));
    else if (what === 'pull') this.#pull(who, ids);
    else if (what === 'checkpoint') expect(this.#server.checkpoint()).toBeNull();
    else if (what === 'load') this.#load(ids, new Random(seed));
    else if (what === 'rate') {
      this.#server.record({ kind: 'optimizer', learningRate: (seed + 1) / 500 });
      this.#server.settle();
    } else this.#restart(what === 'kill');
    this.#expectEqual();
  }

  get tables(): readonly EmbeddingTable[] {
    return this.#server.state.tables.tables;
  }

  #push(who: number, ids: readonly (readonly number[])[], random: Random): void {
    const worker = this.#worker(who);
    const parts = ids.map((each) => [...new Set(each)].sort((a, b) => a - b));
    const rates = this.#server.state.table.ratesNow(1);
    const gradients = parts.map((each, i) => {
      const { dim } = (this.tables[i] as EmbeddingTable).spec;
      return new Map(
        each.map((id) => [id, Float32Array.from({ length: dim }, () => random.nextFloat() * 4 - 2)]),
      );
    });
    const payload = Buffer.concat(
      gradients.flatMap((rows) => [
        bytesOfIds([...rows.keys()]),
        ...[...rows.values()].map((row) => Buffer.from(row.buffer)),
      ]),
    );
    const rows = parts.flatMap(({ length: count }, table) => (count === 0 ? [] : [{ table, count }]));
    worker.seq++;
    const fields = { seq: worker.seq, clock: worker.clock, bytes: payload.length, tensors: [0], rows };
    // A gradient of zeros for the one tensor, which stands first.
    const dense = Buffer.alloc(16);
    this.#server.send(
      worker,
      { t: MessageType.push, ...fields, bytes: payload.length + dense.length },
      Buffer.concat([dense, payload]),
    );
    this.#server.settle();
    expect(worker.results.at(-1)).toMatchObject({ outcome: 'applied', version: ++this.#pushed });
    for (const { table } of rows) {
      const group = this.#server.state.tables.groupOf[table] as number;
      this.#models[table]?.update(
        gradients[table] as Map<number, Float32Array>,
        rates[group] as number,
        1,
        Number.POSITIVE_INFINITY,
      );
    }
  }

  #pull(who: number, ids: readonly (readonly number[])[]): void {
    const worker = this.#worker(who);
    for (const [table, each] of ids.entries()) {
      const asked = [...new Set(each)].sort((a, b) => a - b);
      const payload = bytesOfIds(asked);
      worker.pulled.length = 0;
      const request = ++this.#requests;
      const fields = { request, training: false, clock: worker.clock, table, bytes: payload.length };
      this.#server.send(worker, { t: MessageType.pullRows, ...fields }, payload);
      this.#server.settle();
      expect(worker.pulled).toEqual(asked.flatMap((id) => [...(this.#models[table] as TableModel).read(id)]));
    }
  }

  /** Other rows for the first table, the tensor as it is. */
  #load([ids = []]: readonly (readonly number[])[], random: Random): void {
    const { dim } = (this.tables[0] as EmbeddingTable).spec;
    const rows = [...new Set(ids)].map((id) => {
      return [id, Float32Array.from({ length: dim }, () => random.nextFloat())] as const;
    });
    const parts = [
      ...[new Float32Array(4), new Float32Array(bytesOfIds(rows.map(([id]) => id)).buffer)],
      ...rows.map(([, values]) => values),
    ];
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part.buffer)));
    this.#server.record({
      kind: 'load',
      values: new Float32Array(new Uint8Array(bytes).buffer),
      rows: [{ table: 0, count: rows.length }],
    });
    this.#server.settle();
    this.#pushed++;
    this.#models[0]?.replace(rows);
  }

  #restart(isKilled: boolean): void {
    const { disk, state } = this.#server;
    const left = isKilled ? disk.afterKill() : disk.afterPowerLoss(() => this.#random.nextFloat());
    const again = StoredServer.open(left, this.#options);
    expect(differenceOf(state, again.state)).toBeUndefined();
    this.#server = again;
    this.#workers = [];
  }

  #expectEqual(): void {
    for (const [i, table] of this.tables.entries()) {
      const model = this.#models[i] as TableModel;
      const ids = [...table.index.entries()].map(([, low, high]) => high * 2 ** 32 + low);
      expect(ids.sort((a, b) => a - b)).toEqual([...model.rows.keys()].sort((a, b) => a - b));
      expect(table.counts).toMatchObject({ evicted: model.evicted, notAdmitted: model.notAdmitted });
      const out = new Float32Array(ids.length * table.spec.dim);
      table.read(new Uint32Array(BigUint64Array.from(ids, BigInt).buffer), 0, ids.length, out);
      expect([...out]).toEqual(ids.flatMap((id) => [...model.read(id)]));
    }
  }

  #worker(who: number): StoredWorker {
    const known = this.#workers[who];
    if (known !== undefined) return known;
    const worker = this.#server.join(`w${who}`, `process ${this.#processes++}`);
    this.#server.settle();
    this.#workers[who] = worker;
    return worker;
  }
}

function bytesOfIds(ids: readonly number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(ids, BigInt).buffer);
}

describe('tables of a server', () => {
  it('equal a Map through pushes, pulls, evictions, checkpoints and restarts', () => {
    const script = fc.array(anyAct, { minLength: 6, maxLength: 40 });
    fc.assert(
      fc.property(fc.tuple(anyTable, anyTable), script, fc.nat(1000), (tables, acts, seed) => {
        const play = new Play(tables, seed);
        for (const act of acts) play.act(act);
        play.act({ what: 'kill', who: 0, ids: [[], []], seed });
      }),
      { seed: 20261125, numRuns: 80 },
    );
  });
});
