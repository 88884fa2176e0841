/** Servers that are killed, drain and recover, and disks that stall, fail, tear and forget. */
import { describe, it } from 'vitest';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds', () => {
  it.each(['memory', 'journal', 'journal-async', 'checkpoint'] as const)(
    'with durability %s, while servers are killed and drain',
    { timeout: guardMs(300) },
    (durability) => {
      expectAllHold('server', 70_000, 300, { durability });
    },
  );

  it('while disks stall, fail, tear and forget', { timeout: guardMs(800) }, () => {
    expectAllHold('disk', 80_000, 800);
  });
});
