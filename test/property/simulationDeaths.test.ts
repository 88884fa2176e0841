/**
 * A server that dies twice: killed at every moment of its start, and then, when its successor has
 * acknowledged pushes, with the power. What the first had half done must not cost the second anything.
 */
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../src/testing/faults/faults.js';
import { runSchedule } from '../../src/testing/search/checkedRun.js';
import { drawSchedule } from '../../src/testing/search/schedule.js';

const KILLED = 1;
const LOSES_POWER = 0;

function killServer(at: number, variant: number): Fault {
  return { kind: 'killServer', at, worker: 'a', ms: 5, variant };
}

describe('a server that is killed while it starts, and loses power later', () => {
  it.each([1, 2, 3, 4])('keeps what it acknowledged (seed %i)', (seed) => {
    const base = drawSchedule(seed, {
      workers: 2,
      clocks: 6,
      membership: 'fixed',
      durability: 'journal',
      isPlain: true,
    });
    const schedule = {
      ...base,
      syncMs: [1, 1] as const,
      checkpointMs: Number.POSITIVE_INFINITY,
      minWorkers: 1,
    };
    for (let at = 0.25; at < 14; at += 0.5) {
      const faults = [killServer(at, KILLED), killServer(60 + at, LOSES_POWER)];
      const { violations } = runSchedule({ ...schedule, faults, healsAt: 100 });
      expect(violations, `killed at ${at} ms`).toEqual([]);
    }
  });
});
