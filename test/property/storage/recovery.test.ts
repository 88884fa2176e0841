import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { asp, bsp, type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import type { Optimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { positionsOf } from '../../../src/core/tasks/dataSet.js';
import { MemoryDisk } from '../../unit/storage/memoryDisk.js';
import { textOf } from '../../unit/storage/stateText.js';
import {
  StoredServer,
  type StoredServerOptions,
  type StoredWorker,
} from '../../unit/storage/storedServer.js';

/** One thing that happens; numbers pick from what is possible at that moment. */
interface Act {
  readonly what:
    | 'push'
    | 'partial'
    | 'tick'
    | 'enter'
    | 'leave'
    | 'goodbye'
    | 'drop'
    | 'replace'
    | 'time'
    | 'rate'
    | 'optimizer'
    | 'consistency'
    | 'load'
    | 'epoch'
    | 'ask'
    | 'count'
    | 'checkpoint'
    | 'restart';
  readonly who: number;
  readonly pick: number;
}

const often = <T>(what: T, times: number): T[] => Array.from({ length: times }, () => what);
const acts = fc.array(
  fc.record({
    what: fc.constantFrom<Act['what']>(
      ...often('push' as const, 8),
      ...often('partial' as const, 4),
      ...often('tick' as const, 4),
      ...(['enter', 'leave', 'goodbye', 'drop', 'replace', 'time', 'time'] as const),
      ...(['rate', 'optimizer', 'consistency', 'load', 'epoch', 'epoch'] as const),
      ...often('ask' as const, 4),
      ...often('count' as const, 6),
      ...often('checkpoint' as const, 2),
      'restart',
    ),
    who: fc.nat(2),
    pick: fc.nat(1000),
  }),
  { minLength: 10, maxLength: 60 },
);
const models: readonly Consistency[] = [
  ...[asp(), ssp({ staleness: 1 }), bsp(), bsp({ backupWorkers: 1 })],
  ...(['median', 'trimmedMean', 'krum'] as const).map((aggregate) => bsp({ aggregate, faultyShare: 0.4 })),
];
const optimizers: readonly Optimizer[] = [sgd({ learningRate: 0.5 }), adam(), ftrl(), adagrad()];
const LENGTH = 5;

/** Plays acts on a server, restarts it, and compares what it was with what is recovered. */
class Play {
  server: StoredServer;
  workers: (StoredWorker | undefined)[] = [undefined, undefined, undefined];
  readonly #options: StoredServerOptions;
  readonly #random: Random;
  #processes = 0;

  constructor(options: StoredServerOptions, seed: number) {
    this.#options = options;
    this.#random = new Random(seed);
    this.server = StoredServer.open(new MemoryDisk(seed % 2 === 0 ? 0 : 300), options);
  }

  act({ what, who, pick }: Act): void {
    const { server } = this;
    const worker = this.#worker(who);
    switch (what) {
      case 'push':
        server.push(worker, this.#gradient(LENGTH), pick % 2 === 0 ? { tick: worker.clock + 1 } : {});
        if (pick % 2 === 0) worker.clock++;
        break;
      case 'partial':
        server.push(worker, this.#gradient(2), { tensors: [1] });
        break;
      case 'tick':
        server.send(worker, { t: MessageType.tick, request: pick, clock: worker.clock + 1 });
        worker.clock++;
        break;
      case 'enter':
      case 'leave':
        server.send(worker, { t: MessageType[what], request: pick });
        break;
      case 'goodbye':
        server.send(worker, { t: MessageType.goodbye, reason: '' });
        worker.isOpen = false;
        break;
      case 'drop':
        server.drop(worker);
        break;
      case 'replace':
        server.drop(worker);
        this.workers[who] = server.join(`w${who}`, `process ${this.#processes++}`);
        break;
      case 'time':
        server.tick(pick * 40);
        break;
      case 'ask':
        this.#ask(worker, pick);
        break;
      case 'count':
        this.#count(worker, pick);
        break;
      default:
        this.#manage(what, pick);
    }
    server.settle();
    this.#follow();
  }

  /** Asks for a data shard, and gives back some of those that the worker has. */
  #ask(worker: StoredWorker, pick: number): void {
    const leases = this.server.state.data.leases.of(worker.id).map(({ number }) => number);
    const held = leases.filter(() => this.#random.nextFloat() < 0.8);
    this.server.send(worker, { t: MessageType.dataRequest, request: pick, held, wants: pick % 4 > 0 });
  }

  /** Pushes examples of a data shard: mostly those that are next, of one that the worker has. */
  #count(worker: StoredWorker, pick: number): void {
    const { data } = this.server.state;
    const { current } = data;
    const held = data.leases.of(worker.id);
    const lease = held[pick % Math.max(1, held.length)];
    if (current === undefined || lease === undefined) return;
    const { begin, end } = positionsOf(current.dataSet, lease.task);
    const from = pick % 5 === 0 ? begin : (data.progress.positionOf(lease.task, begin) ?? begin);
    const to = Math.min(end, from + 1 + (pick % 3));
    const range = {
      dataSet: current.number,
      epoch: current.epoch,
      dataShard: lease.task,
      begin,
      end,
      from,
      to,
    };
    const metrics = pick % 2 === 0 ? { loss: this.#random.nextFloat(), [`m${pick % 7}`]: pick } : undefined;
    this.server.push(worker, this.#gradient(LENGTH), {
      data: { ...range, lease: lease.number },
      ...(metrics === undefined ? {} : { metrics }),
    });
  }

  /** The next epoch, or the next data set. */
  #openEpoch(pick: number): void {
    const { current } = this.server.state.data;
    const dataSet = { size: 9, shardSize: 4, epochs: 3, shuffle: true, seed: pick, hasItems: false };
    const isNew = current === undefined || current.isEnded;
    const best = pick % 2 === 0 ? { best: { epoch: 0, value: pick / 7 } } : {};
    this.server.run((core) =>
      core.command((_context, { tasks }) => {
        tasks.data.attach(undefined, Number.POSITIVE_INFINITY);
        if (isNew) tasks.data.record({ kind: 'dataSet', number: (current?.number ?? 0) + 1, dataSet });
        else tasks.data.record({ kind: 'epoch', epoch: current.epoch + 1, isEnd: pick % 5 === 0, ...best });
      }, this.server.now),
    );
  }

  /** What a restart finds on `disk` is the state as it is. */
  expectSame(disk: MemoryDisk): StoredServer {
    const again = StoredServer.open(disk, this.#options);
    expect(textOf(again.state)).toBe(textOf(this.server.state));
    expect(again.core.position).toBe(this.server.core.position);
    expect(again.warnings).toEqual([]);
    return again;
  }

  get lossyDisk(): MemoryDisk {
    return this.server.disk.afterPowerLoss(() => this.#random.nextFloat());
  }

  #manage(what: Act['what'], pick: number): void {
    const { server } = this;
    const rates = (): number[] => server.state.table.ratesNow(1);
    if (what === 'rate') server.record({ kind: 'optimizer', learningRate: (pick + 1) / 500 });
    else if (what === 'optimizer') server.record({ kind: 'optimizer', optimizer: at(optimizers, pick) });
    else if (what === 'consistency')
      server.record({ kind: 'consistency', model: at(models, pick), rates: rates() });
    else if (what === 'load')
      server.record({ kind: 'load', values: Float32Array.from(this.#gradient(LENGTH)) });
    else if (what === 'epoch') this.#openEpoch(pick);
    else if (what === 'checkpoint') expect(server.checkpoint()).toBeNull();
    else {
      this.server = this.expectSame(pick % 2 === 0 ? server.disk.afterKill() : this.lossyDisk);
      this.workers = [undefined, undefined, undefined];
    }
  }

  /** A worker that is connected. */
  #worker(who: number): StoredWorker {
    const known = this.workers[who];
    if (known?.isOpen === true && known.welcome !== undefined) return known;
    const session = this.server.state.sessions.get(`w${who}`);
    const isBack = session !== undefined && this.#random.nextFloat() < 0.5;
    const worker = isBack
      ? this.server.join(`w${who}`, session.key, this.server.core.lineage)
      : this.server.join(`w${who}`, `process ${this.#processes++}`);
    this.server.settle();
    this.workers[who] = worker;
    return worker;
  }

  /** Workers go on from where the server sees them. */
  #follow(): void {
    for (const worker of this.workers) {
      const session = worker === undefined ? undefined : this.server.state.sessions.get(worker.id);
      if (worker === undefined || session === undefined) continue;
      worker.clock = session.clock;
      worker.seq = session.decidedSeq;
    }
  }

  #gradient(length: number): number[] {
    return Array.from({ length }, () => Math.fround(this.#random.nextFloat() * 4 - 2));
  }
}

function at<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}

describe('recovery', () => {
  it('gives the same state, bit for bit, after anything that may happen', () => {
    const setting = fc.record({ model: fc.nat(3), optimizer: fc.nat(3), seed: fc.nat() });
    fc.assert(
      fc.property(setting, acts, ({ model, optimizer, seed }, script) => {
        const play = new Play(
          {
            parameters: {
              w: { shape: [3], init: 'normal' },
              b: { shape: [2], ...(seed % 3 === 0 ? { optimizer: adagrad({ learningRate: 0.1 }) } : {}) },
            },
            consistency: at(models, model),
            optimizer: at(optimizers, optimizer),
            limits: { leaseMs: 10_000, disconnectGraceMs: 5_000, sessionExpiryMs: 60_000 },
          },
          seed,
        );
        for (const act of script) play.act(act);
        play.expectSame(play.server.disk.afterKill());
        play.expectSame(play.lossyDisk);
      }),
      { numRuns: 300, seed: 20260715 },
    );
  });

  it('loses nothing that was answered, and applies nothing twice, when power is lost at any moment', () => {
    const steps = fc.array(fc.record({ who: fc.nat(2), calls: fc.nat(6) }), { minLength: 5, maxLength: 30 });
    fc.assert(
      fc.property(steps, fc.nat(), (script, seed) => {
        const random = new Random(seed);
        const options = { parameters: { cells: { shape: [4] } } } as const;
        const server = StoredServer.open(new MemoryDisk(seed % 2 === 0 ? 0 : 300), options);
        const acknowledged = [0, 0, 0];
        const sent = [0, 0, 0];
        server.onResult = ({ id }) => {
          acknowledged[Number(id)] = (acknowledged[Number(id)] as number) + 1;
        };
        const workers = ['0', '1', '2'].map((id) => server.join(id));
        server.settle();
        for (const [i, { who, calls }] of script.entries()) {
          server.push(
            workers[who] as StoredWorker,
            [0, 1, 2, 3].map((cell) => (cell === who || cell === 3 ? -1 : 0)),
          );
          sent[who] = (sent[who] as number) + 1;
          for (let call = 0; call < calls; call++) server.disk.step();
          if (i === 10) server.storage.checkpoint(() => {});
        }
        const again = StoredServer.open(
          server.disk.afterPowerLoss(() => random.nextFloat()),
          options,
        );
        const cells = again.values;
        for (let who = 0; who < 3; who++) {
          expect(cells[who]).toBeGreaterThanOrEqual(acknowledged[who] as number);
          expect(cells[who]).toBeLessThanOrEqual(sent[who] as number);
          expect(again.state.sessions.get(String(who))?.committedSeq).toBe(cells[who]);
        }
        expect(cells[3]).toBe((cells[0] as number) + (cells[1] as number) + (cells[2] as number));
      }),
      { numRuns: 500, seed: 20260716 },
    );
  });
});
