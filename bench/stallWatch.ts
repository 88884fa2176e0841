/**
 * Options of a group whose shards watch their event loops: at SIGUSR2 a shard writes the longest stall since the last
 * one, in milliseconds, to the file that `PSLIB_STALLS` names with its process id behind, and begins anew.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
process.on('SIGUSR2', () => {
  const longestMs = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
  delay.reset();
  writeFileSync(`${process.env.PSLIB_STALLS}.${process.pid}`, String(longestMs));
});

// biome-ignore lint/style/noDefaultExport: it is what a group asks of its module
export default { port: 0 };
