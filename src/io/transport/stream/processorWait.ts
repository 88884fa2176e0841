/**
 * How long this thread was ready to run while other processes had its processor. Linux counts for each thread what it ran
 * and what it waited (`/proc/…/schedstat`, in ns); elsewhere it is guessed from how often the processor was taken away.
 */
import { readFileSync } from 'node:fs';

/** What one involuntary switch is taken for where nothing better is known. */
const SWITCH_MS = 0.5;

let isCounted = process.platform === 'linux';

/**
 * Milliseconds since the thread began; some 15 µs of work. Other threads of this process (V8 compiles and collects garbage
 * in some) are nobody else: what they ran is taken off, so it may fall where they had processors of their own.
 */
export function processorWait(): number {
  if (isCounted) {
    try {
      const [ran, waited] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ').map(Number);
      const { user, system } = process.cpuUsage();
      const ofOtherThreads = (user + system) / 1e3 - (ran as number) / 1e6;
      return (waited as number) / 1e6 - ofOtherThreads;
    } catch {
      // A system without, or files that this process may not read.
      isCounted = false;
    }
  }
  return process.resourceUsage().involuntaryContextSwitches * SWITCH_MS;
}
