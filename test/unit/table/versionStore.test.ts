import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Pin, VersionStore } from '../../../src/core/table/versionStore.js';

/** A store of 4 elements, all equal to the version they are, and how many arrays it has made. */
function newStore(maxPinned: number): { store: VersionStore; allocated: () => number } {
  let count = 1;
  const allocate = (length: number): Float32Array => {
    count++;
    return new Float32Array(length).fill(Number.NaN);
  };
  return { store: new VersionStore(new Float32Array(4), maxPinned, allocate), allocated: () => count };
}

/** One update, begun and published. */
function update(store: VersionStore, minClock = 0, mayWriteInPlace = true): void {
  const next = store.version + 1;
  store.begin(mayWriteInPlace).fill(next);
  store.publish(next, minClock);
}

const isPinOf = (pin: Pin, version: number): boolean =>
  pin.version === version && pin.values.every((value) => value === version);

describe('VersionStore', () => {
  it('works in place while nobody reads', () => {
    const { store, allocated } = newStore(2);
    const memory = store.current;
    for (let i = 0; i < 10; i++) update(store);
    expect(store.current).toBe(memory);
    expect([...memory]).toEqual([10, 10, 10, 10]);
    expect(allocated()).toBe(1);
  });

  it('a pinned version keeps its values until its last reader is done', () => {
    const { store } = newStore(2);
    const pin = store.pin(0) as Pin;
    expect(store.pin(0)).toBe(pin);
    update(store);
    update(store);
    expect(isPinOf(pin, 0)).toBe(true);
    store.release(pin);
    expect(store.pinnedVersions).toBe(1);
    store.release(pin);
    expect(store.pinnedVersions).toBe(0);
    expect(store.version).toBe(2);
  });

  it('holds at most maxPinned versions; then the current one can not be pinned', () => {
    const { store } = newStore(2);
    const first = store.pin(0) as Pin;
    update(store);
    const second = store.pin(0) as Pin;
    update(store);
    expect(store.pin(0)).toBeUndefined();
    store.release(first);
    const third = store.pin(0) as Pin;
    expect([isPinOf(second, 1), isPinOf(third, 2)]).toEqual([true, true]);
  });

  it('an older version is shared, the newest that suits', () => {
    const { store } = newStore(2);
    store.pin(0);
    update(store, 3);
    store.pin(5);
    update(store, 7);
    expect(store.pinOld(() => true)?.version).toBe(1);
    expect(store.pinOld((pin) => pin.version < 1)?.version).toBe(0);
    expect(store.pinOld((pin) => pin.minClock >= 8)).toBeUndefined();
    const seen: [number, number][] = [];
    store.pinOld((pin) => {
      seen.push([pin.version, pin.minClock]);
      return false;
    });
    // minClock is the one at the end of each version's time: the bound that it meets.
    expect(seen).toEqual([
      [0, 3],
      [1, 7],
    ]);
  });

  it('an update that must not be seen half-way is written elsewhere, also when nobody reads', () => {
    const { store } = newStore(2);
    const target = store.begin(false);
    expect(target).not.toBe(store.current);
    expect(store.isWritingInPlace).toBe(false);
    const pin = store.pin(0) as Pin;
    target.fill(1);
    expect(isPinOf(pin, 0)).toBe(true);
    store.publish(1, 0);
    expect(isPinOf(pin, 0)).toBe(true);
    expect(store.version).toBe(1);
  });

  it('without other memory it is written in place, and can not be read meanwhile', () => {
    const { store, allocated } = newStore(1);
    store.pin(0);
    update(store);
    store.begin(false);
    expect(store.isWritingInPlace).toBe(true);
    expect(store.pin(0)).toBeUndefined();
    store.publish(2, 0);
    expect(store.isWritingInPlace).toBe(false);
    expect(allocated()).toBe(2);
  });

  it('an update that failed leaves the current version, and its memory serves again', () => {
    const { store, allocated } = newStore(2);
    store.begin(false).fill(99);
    store.abandon();
    expect([...store.current]).toEqual([0, 0, 0, 0]);
    expect(store.version).toBe(0);
    update(store, 0, false);
    expect([...store.current]).toEqual([1, 1, 1, 1]);
    expect(allocated()).toBe(2);
  });

  it('a version with the same values is published beside its readers, without memory of its own', () => {
    const { store, allocated } = newStore(1);
    const pin = store.pin(0) as Pin;
    for (let version = 1; version <= 5; version++) store.publishUnchanged(version, 0);
    const later = store.pin(0) as Pin;
    expect([pin.version, later.version, store.version]).toEqual([0, 5, 5]);
    expect(later.values).toBe(pin.values);
    // Written elsewhere: both still read.
    store.begin(true).fill(6);
    store.publish(6, 0);
    expect([[...pin.values], [...later.values]]).toEqual([Array(4).fill(0), Array(4).fill(0)]);
    store.release(later);
    expect(store.pin(0)).toBeUndefined();
    store.release(pin);
    expect(isPinOf(store.pin(0) as Pin, 6)).toBe(true);
    expect(allocated()).toBe(2);
  });

  it('a second release, a second begin and a publish without begin are our bugs', () => {
    const { store } = newStore(2);
    const pin = store.pin(0) as Pin;
    store.release(pin);
    expect(() => store.release(pin)).toThrow('released twice');
    store.begin(true);
    expect(() => store.begin(true)).toThrow('two updates');
    store.publish(1, 0);
    expect(() => store.publish(2, 0)).toThrow('without begin');
    expect(() => store.abandon()).toThrow('without begin');
    store.pin(0);
    expect(() => store.reset(5)).toThrow('in use');
  });
});

type Step =
  | { kind: 'pin' | 'pinOld' | 'publish' | 'publishUnchanged' | 'abandon' }
  | { kind: 'begin'; mayWriteInPlace: boolean }
  | { kind: 'release'; which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom({ kind: 'pin' as const }, { kind: 'pinOld' as const }, { kind: 'publish' as const }),
  fc.constantFrom({ kind: 'abandon' as const }, { kind: 'publishUnchanged' as const }),
  fc.record({ kind: fc.constant('begin' as const), mayWriteInPlace: fc.boolean() }),
  fc.record({ kind: fc.constant('release' as const), which: fc.nat() }),
);

describe('any sequence of steps', () => {
  it('leaves every reader its values, and makes at most maxPinned + 1 arrays', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 80 }), (maxPinned, steps) => {
        const { store, allocated } = newStore(maxPinned);
        const pins: { pin: Pin; version: number; value: number }[] = [];
        let isOpen = false;
        let value = 0;
        let written = 0;
        for (const each of steps) {
          switch (each.kind) {
            case 'pin':
            case 'pinOld': {
              const pin = each.kind === 'pin' ? store.pin(0) : store.pinOld(() => true);
              if (pin !== undefined) pins.push({ pin, version: pin.version, value: pin.values[0] as number });
              break;
            }
            case 'begin':
              if (isOpen) break;
              store.begin(each.mayWriteInPlace).fill(++written);
              isOpen = true;
              break;
            case 'publish':
              if (isOpen) store.publish(store.version + 1, 0);
              if (isOpen) value = written;
              isOpen = false;
              break;
            case 'publishUnchanged':
              if (!isOpen) store.publishUnchanged(store.version + 1, 0);
              break;
            case 'abandon':
              // In place, what was written stays written: the next publish is of that version.
              if (isOpen && !store.isWritingInPlace) {
                store.abandon();
                isOpen = false;
              }
              break;
            case 'release': {
              const [held] = pins.splice(each.which % Math.max(1, pins.length), 1);
              if (held !== undefined) store.release(held.pin);
              break;
            }
          }
          for (const { pin, version, value: pinned } of pins) {
            expect(pin.version).toBe(version);
            expect([...pin.values]).toEqual(Array(4).fill(pinned));
          }
          // Versions with the same values share their memory.
          expect(store.pinnedVersions).toBe(new Set(pins.map(({ pin }) => pin.values)).size);
          expect(store.pinnedVersions).toBeLessThanOrEqual(maxPinned);
          expect(allocated()).toBeLessThanOrEqual(maxPinned + 1);
          if (!store.isWritingInPlace) expect(store.current[0]).toBe(value);
        }
        for (const { pin } of pins) store.release(pin);
        expect(store.pinnedVersions).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
