/**
 * A worker's core with a cache before it: training pulls are answered from it as far as they may be, and the rest is asked
 * for; pushes go by it on their way. Around the core of one server or of a group: a copy counts by the lowest minClock
 * of the shards that it came from. Only who is in the clock table is served, so that its clock is its own. The bound is
 * the one that the servers said last: they tell of a change.
 */

import type { Message } from '../../protocol/messages.js';
import { MessageType } from '../../protocol/messages.js';
import type { Catalogue, TableShape } from '../../tensor/catalogue.js';
import { idAt } from '../../tensor/rowIds.js';
import { oldestOf } from '../computedFrom.js';
import type {
  PullAnswer,
  PullCommand,
  PushAnswer,
  PushCommand,
  WorkerEffect,
  WorkerEvent,
} from '../events.js';
import type { WorkerMachine } from '../workerMachine.js';
import { keysOfPush, rowKey, tensorKey } from './cacheKeys.js';
import type { CacheBound, CachedCopy, CacheStore, OpenPull } from './cacheStore.js';

/** What a pull asks for, one copy each: its key, its number of elements, and the server that it is at, if at one. */
interface Wanted {
  readonly key: string;
  readonly length: number;
  readonly server: number | undefined;
}

/** Rows that are here, and those that are asked for. */
interface PartOfRows {
  readonly data: Float32Array;
  readonly copies: readonly CachedCopy[];
  /** Positions of those that are asked for. */
  readonly missing: readonly number[];
  readonly dim: number;
}

/** A pull that was asked for. */
interface Asked {
  readonly command: PullCommand;
  readonly pull: OpenPull;
  readonly wanted: readonly Wanted[];
  /** Undefined: all of it is asked for. */
  readonly part: PartOfRows | undefined;
  /** How often the worker had been away when it was asked for. */
  readonly absences: number;
}

/** The pure core of a worker with a cache. */
export class CachingCore implements WorkerMachine {
  readonly #inner: WorkerMachine;
  readonly #cache: CacheStore;
  readonly #pulls = new Map<number, Asked>();
  /** The keys of pushes that are not answered. */
  readonly #pushes = new Map<number, readonly string[]>();
  #incarnations = '';
  /** How often the worker may have come out of the clock table: then its clock may be another when it is in again. */
  #absences = 0;
  /** What that was when a pull was asked for that has been answered since: its clock is known again. */
  #answeredSince: number | undefined;

  constructor(inner: WorkerMachine, cache: CacheStore) {
    this.#inner = inner;
    this.#cache = cache;
  }

  get catalogue(): Catalogue | undefined {
    return this.#inner.catalogue;
  }

  get servers(): number {
    return this.#inner.servers;
  }

  get clock(): number {
    return this.#inner.clock;
  }

  get clockWhenDone(): number {
    return this.#inner.clockWhenDone;
  }

  get isInTable(): boolean {
    return this.#inner.isInTable;
  }

  get staleness(): number {
    return this.#inner.staleness;
  }

  get incarnations(): string {
    return this.#inner.incarnations;
  }

  get isOpen(): boolean {
    return this.#inner.isOpen;
  }

  get hasEnded(): boolean {
    return this.#inner.hasEnded;
  }

  nextTickAt(): number {
    return this.#inner.nextTickAt();
  }

  placeOf(message: Message, bytes: number, server?: number): Uint8Array | undefined {
    return this.#inner.placeOf(message, bytes, server);
  }

  serverOfRow(low: number, high: number): number {
    return this.#inner.serverOfRow(low, high);
  }

  step(event: WorkerEvent): readonly WorkerEffect[] {
    const { catalogue } = this.#inner;
    if (catalogue !== undefined && event.kind === 'pull' && mayBeServed(event)) {
      return this.#pull(event, catalogue);
    }
    if (catalogue !== undefined && event.kind === 'push') this.#passBy(event, catalogue);
    if (mayEndMembership(event)) this.#absences++;
    return this.#ask(event);
  }

  /** What the worker's core makes of `event`, and what the cache makes of that. */
  #ask(event: WorkerEvent): readonly WorkerEffect[] {
    const effects = this.#inner.step(event);
    if (event.kind === 'message' && event.message.t === MessageType.welcome) this.#lookAtServers();
    const isOfCache = (effect: WorkerEffect): boolean =>
      effect.kind === 'settle' || effect.kind === 'fail' || effect.kind === 'observe';
    if (!effects.some(isOfCache)) return effects;
    return effects.flatMap((effect) => this.#pass(effect, event.now));
  }

  /** Of other lives of the servers nothing is known. */
  #lookAtServers(): void {
    const { incarnations } = this.#inner;
    if (incarnations !== this.#incarnations) this.#cache.clear();
    this.#incarnations = incarnations;
  }

  #pass(effect: WorkerEffect, now: number): readonly WorkerEffect[] {
    if (effect.kind === 'observe') {
      if (effect.observation.kind === 'rollback') this.#cache.clear();
      return [effect];
    }
    if (effect.kind !== 'settle' && effect.kind !== 'fail') return [effect];
    const { request } = effect;
    const keys = this.#pushes.get(request);
    this.#pushes.delete(request);
    const isApplied =
      effect.kind === 'settle' && (effect.value as PushAnswer | undefined)?.outcome === 'applied';
    if (keys !== undefined && !isApplied) for (const key of keys) this.#cache.mistrust(key);
    const asked = this.#pulls.get(request);
    if (asked === undefined) return [effect];
    this.#pulls.delete(request);
    this.#cache.close(asked.pull);
    if (effect.kind === 'fail') return [effect];
    return this.#keep(asked, effect.value as PullAnswer, now);
  }

  /** Keeps what was asked for, and puts it together with what was here. */
  #keep(asked: Asked, fetched: PullAnswer, now: number): readonly WorkerEffect[] {
    const { command, pull, wanted, part } = asked;
    const { arrays = [] } = fetched;
    this.#answeredSince = asked.absences;
    let at = 0;
    wanted.forEach(({ key, length, server }, i) => {
      // Rows come in one array, tensors in one each.
      const values = command.rows === undefined ? arrays[i] : arrays[0]?.subarray(at, at + length);
      at += length;
      if (values !== undefined) this.#cache.put(pull, key, values, fromServer(fetched, server));
    });
    if (part === undefined) {
      this.#cache.count(0, wanted.length);
      return [{ kind: 'settle', request: command.request, value: fetched }];
    }
    const bound = this.#boundOf(command, pull.clock);
    // What was here need not do any more: the worker is further on, or its server is another.
    const areGood = this.#cache.mayStillServe(pull, part.copies, bound);
    if (!areGood) return this.#fetch({ ...command, now }, bound, this.#wantedRows(command));
    this.#cache.count(0, wanted.length);
    const [rows] = arrays as readonly [Float32Array];
    part.missing.forEach((i, k) => {
      part.data.set(rows.subarray(k * part.dim, (k + 1) * part.dim), i * part.dim);
    });
    return [this.#answer(command.request, [part.data], part.copies, fetched)];
  }

  get #mayServe(): boolean {
    return this.#inner.isInTable && this.#answeredSince === this.#absences;
  }

  #boundOf({ ahead = 0 }: PullCommand, atLeast = 0): CacheBound {
    const { clockWhenDone, staleness } = this.#inner;
    return { clock: Math.max(clockWhenDone + ahead, atLeast), staleness };
  }

  #pull(event: PullCommand & { readonly now: number }, catalogue: Catalogue): readonly WorkerEffect[] {
    const bound = this.#boundOf(event);
    if (event.rows !== undefined) return this.#pullRows(event, bound);
    const { entries } = catalogue.select(event.tensors);
    const wanted = entries.map(({ index, length }) => ({ key: tensorKey(index), length, server: undefined }));
    if (wanted.length === 0 || !this.#mayServe) return this.#fetch(event, bound, wanted);
    const copies = wanted.map(({ key }) => this.#cache.find(key, bound));
    if (!copies.every((copy) => copy !== undefined)) return this.#fetch(event, bound, wanted);
    const arrays = copies.map(({ values }, i) => {
      const target = event.into?.[i] ?? new Float32Array(values.length);
      target.set(values);
      return target;
    });
    return [this.#answer(event.request, arrays, copies)];
  }

  /** Rows: those that are not here are asked for. */
  #pullRows(event: PullCommand & { readonly now: number }, bound: CacheBound): readonly WorkerEffect[] {
    const wanted = this.#wantedRows(event);
    if (wanted.length === 0 || !this.#mayServe) return this.#fetch(event, bound, wanted);
    const { words, table } = event.rows as NonNullable<PullCommand['rows']>;
    const dim = wanted[0]?.length as number;
    const data = new Float32Array(wanted.length * dim);
    const copies: CachedCopy[] = [];
    const missing: number[] = [];
    wanted.forEach(({ key }, i) => {
      const copy = this.#cache.find(key, bound);
      if (copy === undefined) missing.push(i);
      else {
        copies.push(copy);
        data.set(copy.values, i * dim);
      }
    });
    if (missing.length === 0) return [this.#answer(event.request, [data], copies)];
    if (copies.length === 0) return this.#fetch(event, bound, wanted);
    const rest = new Uint32Array(2 * missing.length);
    missing.forEach((i, k) => {
      rest.set(words.subarray(2 * i, 2 * i + 2), 2 * k);
    });
    const ofRest = missing.map((i) => wanted[i] as Wanted);
    return this.#fetch(event, bound, ofRest, { data, copies, missing, dim }, { table, words: rest });
  }

  #wantedRows({ rows }: PullCommand): Wanted[] {
    const { table, words } = rows as NonNullable<PullCommand['rows']>;
    const { tables } = this.#inner.catalogue as Catalogue;
    const { dim: length } = tables[table] as TableShape;
    return Array.from({ length: words.length / 2 }, (_, i) => {
      const server = this.#inner.serverOfRow(words[2 * i] as number, words[2 * i + 1] as number);
      return { key: rowKey(table, idAt(words, i)), length, server };
    });
  }

  /** Asks the server; of rows, for `rows` only. */
  #fetch(
    event: PullCommand & { readonly now: number },
    bound: CacheBound,
    wanted: readonly Wanted[],
    part?: PartOfRows,
    rows: PullCommand['rows'] = event.rows,
  ): readonly WorkerEffect[] {
    this.#pulls.set(event.request, {
      command: event,
      pull: this.#cache.open(bound),
      wanted,
      part,
      absences: this.#absences,
    });
    return this.#ask(part === undefined ? event : { ...event, rows, into: undefined });
  }

  /** Tells the cache of everything that a push changes. */
  #passBy(push: PushCommand, catalogue: Catalogue): void {
    const keys: string[] = [];
    for (const { key, gradient, name } of keysOfPush(push, catalogue)) {
      keys.push(key);
      this.#cache.pushed(key, gradient, name);
    }
    this.#pushes.set(push.request, keys);
  }

  /** The oldest of all that goes into an answer counts. */
  #answer(
    request: number,
    arrays: readonly Float32Array[],
    copies: readonly CachedCopy[],
    fetched?: PullAnswer,
  ): WorkerEffect {
    const parts = fetched === undefined ? copies : [...copies, fetched];
    this.#cache.count(copies.length, 0);
    const least = (of: (part: CachedCopy | PullAnswer) => number): number =>
      parts.reduce((found, part) => Math.min(found, of(part)), Number.POSITIVE_INFINITY);
    const value: PullAnswer = {
      arrays,
      version: least(({ version }) => version),
      pulled: oldestOf([...new Set(parts.map(({ pulled }) => pulled))]),
      clock: this.#inner.clock,
      minClock: least(({ minClock }) => minClock),
      bytes: fetched?.bytes ?? 0,
    };
    return { kind: 'settle', request, value };
  }
}

/** Whether a copy may be the answer. Who asks for something newer than what it has wants no older copy. */
function mayBeServed({ training, ifNewerThan }: PullCommand): boolean {
  return training && ifNewerThan === undefined;
}

/** Whether the worker may be out of the clock table after `event`. Whoever waits for a data shard is. */
function mayEndMembership(event: WorkerEvent): boolean {
  if (event.kind === 'clock') return event.operation === 'leave';
  if (event.kind === 'lease') return event.of === 'data' && event.want > 0;
  return event.kind === 'closed' || event.kind === 'sleep';
}

/** `answer`, as far as it is of one server: of the others a copy from it has nothing. */
function fromServer(answer: PullAnswer, server: number | undefined): PullAnswer {
  if (server === undefined || answer.pulled.length === 1) return answer;
  const pulled = answer.pulled.map((stamp, i) => (i === server ? stamp : undefined));
  return { ...answer, pulled, version: pulled[server]?.version ?? answer.version };
}
