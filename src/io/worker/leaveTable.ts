/** Leaving the clock table at the end of a run: the server is told, and a moment is given to it. */
import { quiet, sleep } from './abort.js';
import type { WorkerHost } from './workerHost.js';

/** How long the end of a run waits for the server to know of it. */
const LEAVE_MS = 5000;

/** Leaves. Never rejects. */
export async function leaveTable(host: WorkerHost): Promise<void> {
  const { core } = host;
  if (core.hasEnded) return;
  const left = quiet(host.call({ kind: 'clock', operation: 'leave' }).answer);
  // Without a connection it is told later, before anything else.
  if (!core.isOpen) return;
  const enough = new AbortController();
  const isLeft = left.then(
    () => enough.abort(),
    () => enough.abort(),
  );
  await Promise.race([isLeft, sleep(LEAVE_MS, enough.signal).catch(() => {})]);
}
