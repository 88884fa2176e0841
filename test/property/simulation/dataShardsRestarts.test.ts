/** Training on data shards, while servers are killed, drain and recover, and while anything goes wrong. */
import { describe, it } from 'vitest';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds on data shards', () => {
  it.each([
    ['memory', 200],
    ['journal', 600],
    ['journal-async', 200],
    ['checkpoint', 200],
  ] as const)(
    'with durability %s, while servers are killed and drain',
    { timeout: guardMs(600) },
    (durability, seeds) => {
      expectAllHold('server', 140_000, seeds, { durability, hasData: true });
    },
  );

  it('while disks stall, fail, tear and forget', { timeout: guardMs(300) }, () => {
    expectAllHold('disk', 150_000, 300, { hasData: true });
  });

  it('while anything goes wrong', { timeout: guardMs(1_000) }, () => {
    expectAllHold('all', 160_000, 1_000, { hasData: true });
  });
});
