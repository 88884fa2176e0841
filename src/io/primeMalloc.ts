/**
 * Makes glibc's malloc keep the memory that it is given back. Without it every large buffer is mapped
 * and faulted in anew, and page faults then cost as much as the network (`docs/performance.md`). Freeing
 * one block that malloc had mapped, just under its 32 MiB cap, raises its thresholds for good: so a thread
 * allocates such a block, touches none of it, and ends. Does nothing where malloc is not glibc's.
 */
import { Worker as Thread } from 'node:worker_threads';

let primed: Promise<void> | undefined;

/** Resolves when malloc is primed; once per process. Never rejects. */
export function primeMalloc(): Promise<void> {
  primed ??= process.platform === 'linux' ? allocateAndEnd() : Promise.resolve();
  return primed;
}

function allocateAndEnd(): Promise<void> {
  return new Promise((resolve) => {
    try {
      const thread = new Thread('new Uint8Array(31.5 * 2 ** 20)', { eval: true, stdout: true, stderr: true });
      thread.once('error', () => resolve());
      thread.once('exit', () => resolve());
    } catch {
      resolve();
    }
  });
}
