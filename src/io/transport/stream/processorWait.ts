/**
 * How long this thread was ready to run while others had its processor. Linux counts it for each thread
 * (`/proc/…/schedstat`, the second figure, in ns); elsewhere it is guessed from how often the processor was taken away.
 */
import { readFileSync } from 'node:fs';

/** What one involuntary switch is taken for where nothing better is known. */
const SWITCH_MS = 0.5;

let isCounted = process.platform === 'linux';

/** Milliseconds since the thread began; some 10 µs of work. */
export function processorWait(): number {
  if (isCounted) {
    try {
      return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;
    } catch {
      // A system without, or files that this process may not read.
      isCounted = false;
    }
  }
  return process.resourceUsage().involuntaryContextSwitches * SWITCH_MS;
}
