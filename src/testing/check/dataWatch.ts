/**
 * Data shards: each example counts once in each epoch, by the updates that are in the parameters; a data shard is in
 * one worker's hands at most, handed out from where it is counted; and nobody waits for one while one is free. The
 * rules of the queue are written down here again, fed by the records of the server.
 */
import { MessageType } from '../../core/protocol/messages.js';
import type { DataLease } from '../../core/protocol/taskMessages.js';
import { ValueStream } from '../../core/protocol/valueStream.js';
import type { ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { JournalRecord, PushRecord } from '../../core/server/records.js';
import type { Check, CheckContext } from './check.js';

/** A data shard in a worker's hands. */
interface Held {
  readonly worker: string;
  readonly dataShard: number;
  /** Its worker has been told. */
  isTold: boolean;
}

/** Watches the data set of one run. */
export class DataWatch implements Check {
  readonly #context: CheckContext;
  /** As the records say: who holds what, by number of the lease, and how far each data shard is counted. */
  readonly #leases = new Map<number, Held>();
  readonly #counted = new Map<number, number>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** A life of the server begins: from here on its records are followed. */
  serverStarted(): void {
    const { data } = this.#state;
    const isKept = this.#context.schedule.durability === 'journal';
    for (const [number, { worker, dataShard, isTold }] of this.#leases) {
      if (!isKept || !isTold || data.leases.find(number) !== undefined) continue;
      this.#add(
        'acknowledged is kept',
        `${worker} was given data shard ${dataShard}, and a restart forgot it`,
      );
    }
    this.#leases.clear();
    this.#counted.clear();
    for (const { number, holder, task } of data.leases)
      this.#leases.set(number, { worker: holder, dataShard: task, isTold: true });
    const { open, done } = data.progress.save();
    for (const [dataShard, position] of open) this.#counted.set(dataShard, position);
    for (const [begin, end] of done) {
      for (let dataShard = begin; dataShard < end; dataShard++) this.#counted.set(dataShard, Infinity);
    }
  }

  serverStepped(_event: ServerEvent | undefined, effects: readonly ServerEffect[]): void {
    if (this.#context.schedule.data === undefined) return;
    for (const effect of effects) {
      if (effect.kind === 'persist') this.#onRecord(effect.record);
      else if (effect.kind === 'send' && effect.message.t === MessageType.dataLease) {
        this.#onLeased(effect.message);
      } else if (effect.kind === 'stream' && effect.stream instanceof ValueStream) {
        const { head } = effect.stream;
        if (head.t === MessageType.dataLease) this.#onLeased(head);
      } else if (effect.kind === 'observe' && effect.observation.kind === 'epoch') {
        this.#checkCounts(effect.observation.dataSet, effect.observation.epoch);
      }
    }
    const { tasks } = this.#context.cluster.server.core.view;
    const next = this.#state.data.peek();
    if (next === undefined || tasks.data.waiting === 0) return;
    this.#add('no lost wake-up', `data shard ${next.dataShard} is free, and somebody waits for one`);
  }

  atEnd(): void {
    const { schedule } = this.#context;
    const { current, leases } = this.#state.data;
    if (schedule.data === undefined || current === undefined) return;
    for (const { holder, task } of leases) {
      this.#add('nothing is left behind', `${holder} holds data shard ${task} at the end`);
    }
    const { epochs } = schedule.data.dataSet;
    const over = current.isEnded ? epochs : current.epoch;
    for (let epoch = 0; epoch < over; epoch++) this.#checkCounts(current.number, epoch);
  }

  get #state(): CheckContext['cluster']['server']['core']['state'] {
    return this.#context.cluster.server.core.state;
  }

  /** By the pushes that are in the parameters, each example of an epoch counts once. */
  #checkCounts(dataSet: number, epoch: number): void {
    const { ledger, schedule } = this.#context;
    const { size = 0 } = schedule.data?.dataSet ?? {};
    const counts = new Array<number>(size).fill(0);
    for (let worker = 0; worker < ledger.absences.length; worker++) {
      for (const { history, appliedAt, range } of ledger.of(worker)) {
        const isIn = history === ledger.history && appliedAt !== undefined;
        if (!isIn || range?.dataSet !== dataSet || range.epoch !== epoch) continue;
        for (let at = range.from; at < range.to; at++) counts[at] = (counts[at] as number) + 1;
      }
    }
    const wrong = counts.findIndex((count) => count !== 1);
    if (wrong < 0) return;
    this.#add('counted once', `position ${wrong} of epoch ${epoch} counts ${counts[wrong]} times`);
  }

  /** What a worker is told that it is given is what the records gave it, from where it is counted. */
  #onLeased({ lease, dataShard = -1, begin, from }: DataLease): void {
    if (lease === undefined) return;
    const known = this.#leases.get(lease);
    if (known !== undefined) known.isTold = true;
    const held = this.#state.data.leases.find(lease);
    if (held === undefined || held.task !== dataShard) {
      this.#add('leases', `lease ${lease} of data shard ${dataShard} is told of and not out`);
    } else if (this.#state.data.progress.positionOf(dataShard, begin as number) !== from) {
      this.#add(
        'counted once',
        `data shard ${dataShard} is handed out from ${from}, which is not how far it is`,
      );
    }
  }

  #onRecord(record: JournalRecord): void {
    switch (record.kind) {
      case 'dataSet':
      case 'epoch':
        this.#leases.clear();
        this.#counted.clear();
        return;
      case 'session':
      case 'expire':
        for (const [number, { worker }] of this.#leases)
          if (worker === record.worker) this.#leases.delete(number);
        return;
      case 'release':
        for (const number of record.leases) this.#leases.delete(number);
        return;
      case 'lease': {
        const { worker, lease, dataShard } = record;
        const other = [...this.#leases.values()].find((held) => held.dataShard === dataShard);
        if (other !== undefined || this.#counted.get(dataShard) === Infinity) {
          const why = other === undefined ? 'it is done' : `${other.worker} has it`;
          this.#add('leases', `${worker} is given data shard ${dataShard}, and ${why}`);
        }
        this.#leases.set(lease, { worker, dataShard, isTold: false });
        return;
      }
      case 'push':
        this.#onPush(record);
        return;
    }
  }

  #onPush({ worker, outcome, data }: PushRecord): void {
    if (data === undefined || outcome === 'dropped' || outcome === 'refused') return;
    const { dataShard, begin, end, from, to, lease } = data.range;
    const counted = this.#counted.get(dataShard) ?? begin;
    if (from !== counted) {
      this.#add(
        'counted once',
        `${worker} pushes from ${from} of data shard ${dataShard}, counted to ${counted}`,
      );
    }
    const held = this.#leases.get(lease);
    if (held?.worker !== worker || held.dataShard !== dataShard) {
      this.#add('fenced', `${worker} counts for data shard ${dataShard}, which it has not`);
    }
    this.#counted.set(dataShard, to === end ? Infinity : to);
    if (to === end) this.#leases.delete(lease);
  }

  #add(rule: string, text: string): void {
    this.#context.violations.add(rule, text);
  }
}
