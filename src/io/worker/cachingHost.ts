/**
 * A worker's host with a cache before it: training pulls are answered from it as far as they may be, and the rest is
 * asked for; pushes go by it on their way. A worker without a cache has an ordinary host and nothing of this.
 */
import type { PsError } from '../../core/base/errors.js';
import type { Catalogue, TableShape } from '../../core/tensor/catalogue.js';
import { idAt } from '../../core/tensor/rowIds.js';
import { oldestOf } from '../../core/worker/computedFrom.js';
import type {
  PullAnswer,
  PullCommand,
  PushAnswer,
  PushCommand,
  RequestValue,
} from '../../core/worker/events.js';
import { quiet } from './abort.js';
import type { CacheBound, CachedCopy, CacheStore } from './cacheStore.js';
import { type Call, type Command, WorkerHost } from './workerHost.js';

type HostParts = ConstructorParameters<typeof WorkerHost>;
type Pull = Omit<PullCommand, 'request'>;
type Push = Omit<PushCommand, 'request'>;

/** What a pull asks for, one copy each: its key and its number of elements. */
interface Wanted {
  readonly key: string;
  readonly length: number;
}

/** The host of a worker with `cache`. */
export class CachingHost extends WorkerHost {
  readonly #cache: CacheStore;

  constructor(cache: CacheStore, core: HostParts[0], dialling: HostParts[1], observe: HostParts[2]) {
    let incarnation: string | undefined;
    super(core, dialling, (observation) => {
      const isAnother = observation.kind === 'open' && observation.incarnation !== incarnation;
      if (observation.kind === 'open') incarnation = observation.incarnation;
      if (isAnother || observation.kind === 'rollback') cache.clear();
      observe(observation);
    });
    this.#cache = cache;
  }

  override call<T extends RequestValue>(command: Command, signal?: AbortSignal): Call<T> {
    const { catalogue, clockWhenDone } = this.core;
    if (catalogue !== undefined && clockWhenDone !== undefined && signal?.aborted !== true) {
      if (command.kind === 'pull' && command.training) {
        const bound = { clock: clockWhenDone + (command.ahead ?? 0), staleness: this.core.staleness };
        const call = command.rows === undefined ? this.#pull : this.#pullRows;
        return call(command, bound, catalogue, signal) as Call<RequestValue> as Call<T>;
      }
      if (command.kind === 'push')
        return this.#push(command, catalogue, signal) as Call<RequestValue> as Call<T>;
    }
    return super.call<T>(command, signal);
  }

  /** Tensors: from here if all of them are. */
  readonly #pull = (
    command: Pull,
    bound: CacheBound,
    catalogue: Catalogue,
    signal: AbortSignal | undefined,
  ): Call<PullAnswer> => {
    const { entries } = catalogue.select(command.tensors);
    const wanted = entries.map(({ index, length }) => ({ key: tensorKey(index), length }));
    const copies = wanted.map(({ key }) => this.#cache.find(key, bound));
    if (copies.every((copy) => copy !== undefined)) {
      const arrays = copies.map(({ values }, i) => {
        const target = command.into?.[i] ?? new Float32Array(values.length);
        target.set(values);
        return target;
      });
      return answered(this.#answerOf(arrays, copies, undefined));
    }
    return this.#fetch(command, wanted, bound, signal);
  };

  /** Rows: those that are not here are asked for. */
  readonly #pullRows = (
    command: Pull,
    bound: CacheBound,
    catalogue: Catalogue,
    signal: AbortSignal | undefined,
  ): Call<PullAnswer> => {
    const { table, words } = command.rows as NonNullable<Pull['rows']>;
    const { dim } = catalogue.tables[table] as TableShape;
    const count = words.length / 2;
    if (count === 0) return super.call<PullAnswer>(command as Command, signal);
    const data = new Float32Array(count * dim);
    const copies: CachedCopy[] = [];
    const missing: number[] = [];
    for (let i = 0; i < count; i++) {
      const copy = this.#cache.find(rowKey(table, idAt(words, i)), bound);
      if (copy === undefined) missing.push(i);
      else {
        copies.push(copy);
        data.set(copy.values, i * dim);
      }
    }
    if (missing.length === 0) return answered(this.#answerOf([data], copies, undefined));
    const wanted = missing.map((i) => ({ key: rowKey(table, idAt(words, i)), length: dim }));
    const missingWords = Uint32Array.from(
      missing.flatMap((i) => [words[2 * i] as number, words[2 * i + 1] as number]),
    );
    const rest = { ...command, into: undefined, rows: { table, words: missingWords } };
    const { answer, cancel } = this.#fetch(rest, wanted, bound, signal);
    const whole = answer.then((fetched) => {
      const [rows] = fetched.arrays as readonly [Float32Array];
      missing.forEach((i, k) => {
        data.set(rows.subarray(k * dim, (k + 1) * dim), i * dim);
      });
      return this.#answerOf([data], copies, fetched);
    });
    return { answer: whole, cancel };
  };

  /** Asks the server, and keeps what it answers. */
  #fetch(
    command: Pull,
    wanted: readonly Wanted[],
    bound: CacheBound,
    signal: AbortSignal | undefined,
  ): Call<PullAnswer> {
    const pull = this.#cache.open(bound);
    const { answer, cancel } = super.call<PullAnswer>(command as Command, signal);
    const keep = (fetched: PullAnswer): PullAnswer => {
      this.#cache.close(pull);
      const { arrays = [] } = fetched;
      let at = 0;
      wanted.forEach(({ key, length }, i) => {
        // Rows come in one array, tensors in one each.
        const values = command.rows === undefined ? arrays[i] : arrays[0]?.subarray(at, at + length);
        at += length;
        if (values !== undefined) this.#cache.put(pull, key, values, fetched);
      });
      return fetched;
    };
    const giveUp = (error: unknown): never => {
      this.#cache.close(pull);
      throw error;
    };
    return { answer: answer.then(keep, giveUp), cancel };
  }

  #push(command: Push, catalogue: Catalogue, signal: AbortSignal | undefined): Call<PushAnswer> {
    const keys = this.#passBy(command, catalogue);
    const { answer, cancel } = super.call<PushAnswer>(command as Command, signal);
    const mistrust = (): void => {
      for (const key of keys) this.#cache.mistrust(key);
    };
    const onAnswer = ({ outcome }: PushAnswer): void => {
      if (outcome !== 'applied') mistrust();
    };
    answer.then(onAnswer, mistrust);
    return { answer, cancel };
  }

  /** Tells the cache of everything that a push changes; returns its keys. */
  #passBy({ tensors, values, rows = [] }: Push, catalogue: Catalogue): string[] {
    const keys: string[] = [];
    const pass = (key: string, gradient: Float32Array, name: string): void => {
      keys.push(key);
      this.#cache.pushed(key, gradient, name);
    };
    const { entries } = catalogue.select(tensors);
    entries.forEach(({ index, name }, i) => {
      pass(tensorKey(index), values[i] as Float32Array, name);
    });
    rows.forEach(({ table, count }, part) => {
      const { name, dim } = catalogue.tables[table] as TableShape;
      const ids = values[entries.length + 2 * part] as Float32Array;
      const gradients = values[entries.length + 2 * part + 1] as Float32Array;
      const words = new Uint32Array(ids.buffer, ids.byteOffset, 2 * count);
      for (let i = 0; i < count; i++) {
        pass(rowKey(table, idAt(words, i)), gradients.subarray(i * dim, (i + 1) * dim), name);
      }
    });
    return keys;
  }

  /** The oldest of all that goes into an answer counts. */
  #answerOf(
    arrays: readonly Float32Array[],
    copies: readonly CachedCopy[],
    fetched: PullAnswer | undefined,
  ): PullAnswer {
    const parts = fetched === undefined ? copies : [...copies, fetched];
    return {
      arrays,
      version: parts.reduce((least, { version }) => Math.min(least, version), Number.POSITIVE_INFINITY),
      pulled: oldestOf([...new Set(parts.map(({ pulled }) => pulled))]),
      clock: this.core.clock,
      minClock: parts.reduce((least, { minClock }) => Math.min(least, minClock), Number.POSITIVE_INFINITY),
      bytes: fetched?.bytes ?? 0,
    };
  }
}

function tensorKey(index: number): string {
  return `t${index}`;
}

function rowKey(table: number, id: number): string {
  return `${table}:${id}`;
}

function answered(answer: PullAnswer): Call<PullAnswer> {
  return { answer: quiet(Promise.resolve(answer)), cancel: (_error: PsError) => {} };
}
