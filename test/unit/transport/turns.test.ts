import { afterEach, describe, expect, it, vi } from 'vitest';
import { Turns } from '../../../src/io/transport/turns.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Looks `times` times; resolves with true when the last look has been taken. */
function looked(times: number): Promise<true> {
  return new Promise((resolve) => {
    let count = 0;
    const turns = new Turns(() => {
      count++;
      if (count < times) return false;
      turns.close();
      resolve(true);
      return true;
    });
    turns.begin();
    turns.begin();
    expect(count).toBe(0);
  });
}

describe('turns', () => {
  it('need no timer at first: a hidden page has slow ones', async () => {
    vi.stubGlobal('setTimeout', () => 0);
    vi.stubGlobal('performance', { now: () => 0 });
    expect(await looked(2)).toBe(true);
  });

  it('go on by timer', async () => {
    // Every turn seems to take long.
    let now = 0;
    vi.stubGlobal('performance', { now: () => (now += 100) });
    expect(await looked(5)).toBe(true);
  });

  it('go by timer alone where there are no channels', async () => {
    vi.stubGlobal('MessageChannel', undefined);
    expect(await looked(3)).toBe(true);
  });
});
