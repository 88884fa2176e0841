/**
 * The parameters' values, by version. Readers pin the version they send; the writer works in place
 * while nobody reads the current one, and otherwise writes the next version into other memory and
 * publishes it (copy on write). So a pull is one consistent cut, without stopping updates.
 *
 *     pin ──▶ head (current) ──publish, still read──▶ old versions ──last release──▶ free memory
 *
 * At most `maxPinned` versions are held for readers, so at most `maxPinned + 1` arrays exist. Of some readers, the guests,
 * `maxGuestVersions` bounds how many they hold.
 */
import { invariant } from '../base/invariant.js';
import type { ChangeMarks } from './changeMarks.js';
import { Differences } from './differences.js';

/** One version that readers hold. */
export interface Pin {
  readonly values: Float32Array;
  /** The version these values are. */
  readonly version: number;
  /** minClock when this version was last the current one: what the consistency bound asks for. */
  readonly minClock: number;
  /** Since when it is being read without a pause. */
  readonly since: number;
}

interface Held {
  values: Float32Array;
  version: number;
  minClock: number;
  since: number;
  readers: number;
  /** Readers that are guests. */
  guests: number;
}

/** The current version and those that are still being read. */
export class VersionStore {
  readonly #maxPinned: number;
  readonly #allocate: (length: number) => Float32Array;
  #head: Held;
  readonly #old = new Set<Held>();
  readonly #free: Float32Array[] = [];
  /** Memory that an update writes now; the head itself while it works in place. */
  #target: Float32Array | undefined;
  /** Tensors that the update changes; undefined: any. */
  #changed: readonly number[] | undefined;
  readonly #differences = new Differences();
  readonly #marks: ChangeMarks | undefined;
  /** How many versions may have guests among their readers; lowering it ends no hold. */
  maxGuestVersions: number;

  /** `marks` are told what each version changes. */
  constructor(
    values: Float32Array,
    maxPinned: number,
    allocate: (length: number) => Float32Array,
    marks?: ChangeMarks,
  ) {
    this.#head = unread(values, 0, 0);
    this.#maxPinned = maxPinned;
    this.maxGuestVersions = maxPinned;
    this.#allocate = allocate;
    this.#marks = marks;
    this.#differences.restart(values);
  }

  /** The current values: read them within the turn, or pin them. */
  get current(): Float32Array {
    return this.#head.values;
  }

  /** The number of updates in the current values. */
  get version(): number {
    return this.#head.version;
  }

  /** Versions held for readers now. */
  get pinnedVersions(): number {
    return this.#oldArrays + (this.#isRead ? 1 : 0);
  }

  /** Whether an update overwrites the current values just now, so that they are no version. */
  get isWritingInPlace(): boolean {
    return this.#target === this.#head.values;
  }

  /** Whether an update has begun that is not published. */
  get isUpdating(): boolean {
    return this.#target !== undefined;
  }

  /** Says what the version is after recovery. REQUIRES: nothing is pinned. */
  reset(version: number): void {
    invariant(this.pinnedVersions === 0 && this.#target === undefined, 'reset of versions in use');
    this.#head.version = version;
    this.#differences.restart(this.#head.values);
    this.#marks?.published(version, undefined);
  }

  /**
   * Holds the current version, or returns undefined when it can't be read now, too many are held, or a guest would hold
   * too many. `now` is only remembered.
   */
  pin(minClock: number, now: number = 0, isGuest: boolean = false): Pin | undefined {
    if (this.isWritingInPlace) return undefined;
    if (!this.#isRead && this.#oldArrays >= this.#maxPinned) return undefined;
    if (isGuest && !this.#mayHaveGuest(this.#head)) return undefined;
    this.#head.minClock = minClock;
    return hold(this.#head, now, isGuest);
  }

  /** Holds an older version that is being read anyway and that suits, newest first. */
  pinOld(suits: (pin: Pin) => boolean, now: number = 0, isGuest: boolean = false): Pin | undefined {
    let best: Held | undefined;
    for (const held of this.#old) {
      const maySuit = suits(held) && (!isGuest || this.#mayHaveGuest(held));
      if (maySuit && (best === undefined || held.version > best.version)) best = held;
    }
    return best && hold(best, now, isGuest);
  }

  #mayHaveGuest(held: Held): boolean {
    const arrays = new Set<Float32Array>();
    for (const { values, guests } of [this.#head, ...this.#old]) if (guests > 0) arrays.add(values);
    return arrays.has(held.values) || arrays.size < this.maxGuestVersions;
  }

  /** Ends one reader's hold. Exactly once per pin, and as what it was pinned. */
  release(pin: Pin, isGuest: boolean = false): void {
    const held = pin as Held;
    invariant(held.readers > 0, 'a version is released twice');
    held.readers--;
    if (isGuest) held.guests--;
    if (held.readers > 0 || held === this.#head) return;
    this.#old.delete(held);
    const isShared = [this.#head, ...this.#old].some(({ values }) => values === held.values);
    if (!isShared) this.#free.push(held.values);
  }

  /**
   * Begins an update; returns the memory that takes the next version. With `mayWriteInPlace` it is
   * the current memory if nobody reads it. Otherwise other memory if there is some, so that readers
   * can go on; if there is none, the current one, and readers wait. `changed`: positions of the tensors that
   * the update changes; undefined: any.
   */
  begin(mayWriteInPlace: boolean, changed?: readonly number[]): Float32Array {
    invariant(this.#target === undefined, 'two updates at once');
    this.#changed = changed;
    this.#marks?.begin(false);
    const hasRoom = this.#free.length > 0 || this.#oldArrays < this.#maxPinned;
    if (this.#isRead || (!mayWriteInPlace && hasRoom)) {
      this.#target = this.#free.pop() ?? this.#allocate(this.#head.values.length);
    } else {
      this.#target = this.#head.values;
    }
    return this.#target;
  }

  /** Tensors that the memory of the update lacks, beside what the update changes; undefined: any. */
  get missing(): ReadonlySet<number> | undefined {
    return this.#target === undefined ? undefined : this.#differences.of(this.#target);
  }

  /** Makes what was written the current version. `minClock`: as it was while the one before was current. */
  publish(version: number, minClock: number): void {
    const target = this.#target;
    invariant(target !== undefined, 'publish without begin');
    this.#target = undefined;
    this.#differences.published(target, this.#changed);
    this.#marks?.published(version, this.#changed);
    const before = this.#head;
    if (target === before.values) {
      before.version = version;
      return;
    }
    const isRead = this.#isRead;
    before.minClock = minClock;
    if (before.readers > 0) this.#old.add(before);
    if (!isRead) this.#free.push(before.values);
    this.#head = unread(target, version, minClock);
  }

  /**
   * The version rises and these values stay: an update of other things. Readers of the version before go on
   * beside it, in the same memory.
   */
  publishUnchanged(version: number, minClock: number): void {
    invariant(this.#target === undefined, 'a publication within an update');
    const before = this.#head;
    if (before.readers === 0) {
      before.version = version;
      return;
    }
    before.minClock = minClock;
    this.#old.add(before);
    this.#head = unread(before.values, version, minClock);
  }

  /** Whether somebody reads the current memory, as this version or as an earlier one with the same values. */
  get #isRead(): boolean {
    const { values, readers } = this.#head;
    if (readers > 0) return true;
    for (const held of this.#old) if (held.values === values) return true;
    return false;
  }

  /** Arrays that are held for readers of old versions alone. */
  get #oldArrays(): number {
    if (this.#old.size === 0) return 0;
    const arrays = new Set<Float32Array>();
    for (const { values } of this.#old) if (values !== this.#head.values) arrays.add(values);
    return arrays.size;
  }

  /** Ends an update that failed. Other memory is forgotten; what was written in place, the job has put back. */
  abandon(): void {
    const target = this.#target;
    invariant(target !== undefined, 'abandon without begin');
    this.#target = undefined;
    if (target === this.#head.values) {
      this.#differences.published(target, this.#changed);
      return;
    }
    this.#differences.spoiled(target);
    this.#free.push(target);
  }
}

function unread(values: Float32Array, version: number, minClock: number): Held {
  return { values, version, minClock, since: 0, readers: 0, guests: 0 };
}

function hold(held: Held, now: number, isGuest: boolean): Held {
  if (held.readers === 0) held.since = now;
  held.readers++;
  if (isGuest) held.guests++;
  return held;
}
