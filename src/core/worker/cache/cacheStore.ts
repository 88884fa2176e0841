/**
 * What a training worker has pulled, kept for its next pulls as far as the staleness bound allows (Ho et al. 2013,
 * section 3: client caches). What was read when the server's minClock was m holds every update of clocks below m, so
 * under SSP(s) it may serve a pull at clock c iff m ≥ c − s. What this worker has pushed to since is not served, unless
 * it is told how to apply an update of its own. It asks nobody.
 */
import { invalidArgument } from '../../base/errors.js';
import type { PullAnswer, PulledFrom } from '../events.js';

/** How much to keep, and how. */
export interface ParameterCacheOptions {
  /** Rows and tensors together, with what it takes to keep them; the ones used least lately go first. Default 64 MiB. */
  readonly maxBytes?: number;
  /**
   * How many clocks of the worker's own a copy serves. Default as long as the consistency model allows; where that sets
   * no bound (asp), 0.
   */
  readonly maxClocks?: number;
  /**
   * Applies this worker's own gradient to its copy of a row or tensor as the server will; then a copy that it has pushed
   * to is served on. Default: it is forgotten.
   */
  readonly applyOwn?: (values: Float32Array, gradient: Float32Array, name: string) => void;
}

/** How often the cache has served. */
export interface ParameterCacheStats {
  /** Rows and tensors of answered pulls that came from the cache. */
  readonly hits: number;
  /** Those that came from a server. */
  readonly misses: number;
  /** hits / (hits + misses); NaN before the first. */
  readonly hitRate: number;
  /** Copies that it holds now. */
  readonly entries: number;
  readonly bytes: number;
}

/** What a pull is for. */
export interface CacheBound {
  /** The worker's clock, once everything that it has asked for is done. */
  readonly clock: number;
  /** Infinity: no bound. */
  readonly staleness: number;
}

/** A row or tensor as it was pulled. */
export interface CachedCopy {
  readonly values: Float32Array;
  /** The server's when it was read. */
  readonly minClock: number;
  /** The worker's when it asked. */
  readonly clock: number;
  readonly version: number;
  readonly pulled: PulledFrom;
}

/** A pull that was asked for: what this worker pushes meanwhile may be missing in its answer. */
export interface OpenPull {
  readonly clock: number;
  readonly pushed: Set<string>;
  readonly life: number;
}

/** Memory of an entry besides its values, about. */
const ENTRY_BYTES = 160;

/** Copies of rows and tensors by key. */
export class CacheStore {
  readonly #maxBytes: number;
  readonly #maxClocks: number | undefined;
  readonly #applyOwn: ParameterCacheOptions['applyOwn'];
  /** Least lately used first. */
  readonly #entries = new Map<string, CachedCopy>();
  readonly #open = new Set<OpenPull>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  /** Counts how often what was pulled became void. */
  #life = 0;

  /** Throws `PS_INVALID_ARGUMENT`. */
  constructor({ maxBytes = 67_108_864, maxClocks, applyOwn }: ParameterCacheOptions = {}) {
    if (!(typeof maxBytes === 'number' && maxBytes > 0)) {
      throw invalidArgument('maxBytes', maxBytes, 'a number above 0');
    }
    if (maxClocks !== undefined && !(typeof maxClocks === 'number' && maxClocks >= 0)) {
      throw invalidArgument('maxClocks', maxClocks, 'a number from 0');
    }
    if (applyOwn !== undefined && typeof applyOwn !== 'function') {
      throw invalidArgument('applyOwn', applyOwn, 'a function');
    }
    this.#maxBytes = maxBytes;
    this.#maxClocks = maxClocks;
    this.#applyOwn = applyOwn;
  }

  get stats(): ParameterCacheStats {
    const [hits, misses] = [this.#hits, this.#misses];
    return { hits, misses, hitRate: hits / (hits + misses), entries: this.#entries.size, bytes: this.#bytes };
  }

  /** What was pulled is void: the server lost its state, or is another. */
  clear(): void {
    this.#life++;
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** The copy of `key` if it may serve a pull with this bound. */
  find(key: string, bound: CacheBound): CachedCopy | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#mayServe(entry, bound)) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  /** A pull has been answered: so many of its rows or tensors from here, and so many by a server. */
  count(served: number, asked: number): void {
    this.#hits += served;
    this.#misses += asked;
  }

  /** A pull leaves. `close` it. */
  open({ clock }: CacheBound): OpenPull {
    const pull = { clock, pushed: new Set<string>(), life: this.#life };
    this.#open.add(pull);
    return pull;
  }

  close(pull: OpenPull): void {
    this.#open.delete(pull);
  }

  /** Whether `copies`, found when `pull` was asked for, may still serve a pull with this bound. */
  mayStillServe({ life }: OpenPull, copies: readonly CachedCopy[], bound: CacheBound): boolean {
    return life === this.#life && copies.every((copy) => this.#mayServe(copy, bound));
  }

  /** Keeps what `pull` brought for `key`, unless this worker has pushed to it since it asked. Copies it. */
  put(
    pull: OpenPull,
    key: string,
    values: Float32Array,
    { minClock, version, pulled }: Pick<PullAnswer, 'minClock' | 'version' | 'pulled'>,
  ): void {
    if (pull.pushed.has(key) || pull.life !== this.#life) return;
    this.#forget(key);
    const { clock } = pull;
    this.#entries.set(key, { values: values.slice(), minClock, clock, version, pulled });
    this.#bytes += ENTRY_BYTES + values.byteLength;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#forget(oldest);
    }
  }

  /** This worker pushes `gradient` to the row or tensor `key` of `name`. */
  pushed(key: string, gradient: Float32Array, name: string): void {
    for (const pull of this.#open) pull.pushed.add(key);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (this.#applyOwn === undefined) this.#forget(key);
    else this.#applyOwn(entry.values, gradient, name);
  }

  /** A push to `key` was not applied as it was sent. */
  mistrust(key: string): void {
    this.#forget(key);
  }

  #mayServe({ minClock, clock }: CachedCopy, bound: CacheBound): boolean {
    const isBounded = bound.staleness !== Number.POSITIVE_INFINITY;
    const maxClocks = this.#maxClocks ?? (isBounded ? Number.POSITIVE_INFINITY : 0);
    return bound.clock - clock <= maxClocks && (!isBounded || minClock >= bound.clock - bound.staleness);
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= ENTRY_BYTES + entry.values.byteLength;
  }
}
