/** Servers that are killed and recover from their journals, and disks that stall, fail, tear and forget. */
import { describe, it } from 'vitest';
import { expectAllHold } from './seeds.js';

describe('every rule holds', () => {
  it.each(['memory', 'journal', 'journal-async'] as const)(
    'with durability %s, while servers are killed',
    { timeout: 180_000 },
    (durability) => {
      expectAllHold('server', 70_000, 150, { durability });
    },
  );

  it('while disks stall, fail, tear and forget', { timeout: 180_000 }, () => {
    expectAllHold('disk', 80_000, 200);
  });
});
