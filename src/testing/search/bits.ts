/**
 * BSP is reproducible to the bit: runs of one training task on different networks, with different speeds
 * and faults, must end with the same parameters, as long as nobody lost its place.
 */
import { bsp } from '../../core/consistency/consistency.js';
import type { FaultKind } from '../faults/faults.js';
import type { RunReport } from './checkedRun.js';
import { type SearchResult, search } from './search.js';

/** Faults that leave everyone in the clock table, and the server its state. */
const HARMLESS: readonly FaultKind[] = ['reset', 'slowNetwork', 'stopServer', 'killServer', 'stallDisk'];

/** What a comparison found. */
export interface BitsResult extends SearchResult {
  /** Runs that were compared. */
  readonly compared: number;
  /** Seeds whose run ended with other bits than the first. */
  readonly differing: readonly number[];
}

/** Runs the seeds from, from + 1, … of one BSP task of `workers` workers and compares how they end. */
export function compareBits(options: {
  from: number;
  seeds: number;
  workers: number;
  clocks: number;
}): BitsResult {
  let first: Uint32Array | undefined;
  let compared = 0;
  const differing: number[] = [];
  const onRun = ({ noise, evictions, violations, schedule }: RunReport): void => {
    if (evictions > 0 || violations.length > 0) return;
    const bits = new Uint32Array(noise.buffer, noise.byteOffset, noise.length);
    first ??= bits;
    compared++;
    if (!bits.every((word, i) => word === first?.[i])) differing.push(schedule.seed);
  };
  const result = search({
    ...options,
    consistency: bsp(),
    isPlain: true,
    hasNoise: true,
    membership: 'fixed',
    durability: 'journal',
    faults: HARMLESS,
    maxFaultMs: 900,
    onRun,
  });
  return { ...result, compared, differing };
}
