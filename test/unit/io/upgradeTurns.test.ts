import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { UpgradeTurns } from '../../../src/io/server/upgradeTurns.js';

// Upgrade requests: a fleet at once, then a share of the time, and addresses by turns.

const FLEET = 100;
const NEAR = '127.0.0.1';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Turns whose time passes with the timers, and with what a request takes. */
function newScene(limits = { maxConnections: FLEET, maxConnectionsPerAddress: 10 }) {
  let [now, costMs, waits] = [0, 0.5, 0];
  const log: string[] = [];
  const gone = new Set<string>();
  const parts = { limits, maxWaitMs: 5000, onWait: () => void waits++ };
  const turns = new UpgradeTurns(parts, () => now);
  const request = (name: string, address: string | undefined = NEAR): void => {
    turns.take(address, {
      isGone: () => gone.has(name),
      proceed: () => {
        now += costMs;
        log.push(name);
      },
      refuse: () => void log.push(`${name} refused`),
    });
  };
  const pass = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      now += 1;
      vi.advanceTimersByTime(1);
    }
  };
  return {
    ...{ turns, request, pass, gone },
    waits: () => waits,
    costs: (ms: number) => (costMs = ms),
    /** What has become of requests since the last look. */
    seen: () => log.splice(0),
    /** Requests until one has to wait, and until it has proceeded; returns how many did not wait. */
    fleet: (): number => {
      const before = waits;
      let count = -1;
      for (; waits === before; count++) request('of the fleet');
      while (turns.count > 0) pass(1);
      log.length = 0;
      return count;
    },
  };
}

it('a fleet proceeds at once; the next one waits, and its turn comes', () => {
  const { fleet, request, pass, seen, waits } = newScene();
  const count = fleet();
  // Some more while the first ones are looked at.
  expect(count).toBeGreaterThanOrEqual(FLEET);
  expect(count).toBeLessThanOrEqual(FLEET + 4);
  request('late');
  expect([seen(), waits()]).toEqual([[], 2]);
  pass(100);
  expect(seen()).toEqual(['late']);
});

it('requests have a twentieth of the time, twice what each takes itself counted', () => {
  const { fleet, request, pass, seen, turns } = newScene({
    maxConnections: FLEET,
    maxConnectionsPerAddress: 10,
  });
  fleet();
  for (let i = 0; i < 100; i++) request(`${i}`);
  pass(100);
  seen();
  pass(1000);
  // 1,000 ms / (20 · 2 · 0.5 ms), and the time that they took themselves.
  const count = seen().length;
  expect(count).toBeGreaterThanOrEqual(48);
  expect(count).toBeLessThanOrEqual(56);
  pass(1000);
  expect(turns.count).toBe(0);
});

it('after a pause a whole fleet may come again', () => {
  const { fleet, pass } = newScene();
  const count = fleet();
  pass(20 * 2 * FLEET);
  expect(fleet()).toBe(count);
});

it('what takes longer comes more rarely', () => {
  const { fleet, request, pass, seen, costs } = newScene();
  costs(1);
  fleet();
  for (let i = 0; i < 100; i++) request(`${i}`);
  pass(100);
  seen();
  pass(1000);
  expect(seen().length).toBeLessThanOrEqual(30);
});

it('addresses take turns, and one that keeps count waits with few', () => {
  const { fleet, request, pass, seen } = newScene();
  fleet();
  for (let i = 0; i < 12; i++) request(`a${i}`, '192.0.2.1');
  expect(seen()).toEqual(['a10 refused', 'a11 refused']);
  request('b', '192.0.2.2');
  request('near');
  request('made by the user', '');
  pass(400);
  expect(seen().slice(0, 6)).toEqual(['a0', 'b', 'near', 'made by the user', 'a1', 'a2']);
});

it('when too many wait, who has most gives up a place', () => {
  const { fleet, request, seen, turns } = newScene({ maxConnections: 4, maxConnectionsPerAddress: 4 });
  fleet();
  for (let i = 0; i < 5; i++) request(`${i}`);
  expect(seen()).toEqual(['4 refused']);
  request('far', '192.0.2.1');
  expect(seen()).toEqual(['3 refused']);
  expect(turns.count).toBe(4);
});

it('one that has gone takes no turn; one that has waited for too long is refused', () => {
  const { fleet, request, pass, seen, gone, costs } = newScene();
  fleet();
  for (const each of ['a', 'b', 'c']) request(each);
  gone.add('a').add('b');
  pass(50);
  expect(seen()).toEqual(['c']);
  request('next');
  costs(6000);
  for (const each of ['long', 'longer']) request(each);
  pass(200);
  expect(seen()).toEqual(['next', 'long', 'longer refused']);
});

it('at the end all that wait are refused', () => {
  const { fleet, request, pass, seen, turns } = newScene();
  fleet();
  for (const each of ['a', 'b']) request(each);
  turns.end();
  expect(seen()).toEqual(['a refused', 'b refused']);
  pass(1000);
  expect(seen()).toEqual([]);
});
