/** What a server knows of each worker, for `workers()`. */
import type { ServerCore } from '../../core/server/serverCore.js';
import type { Session } from '../../core/server/session.js';
import type { WorkerInfo } from '../serverReport.js';

/** Everyone who has joined and not left, slowest first among those that train, then the others. */
export function workerInfos(core: ServerCore, now: number): WorkerInfo[] {
  const waiting = core.view.pulls.waitingSince();
  const infos = [...core.view.membership.present].map((session) =>
    infoOf(session, core, now, waiting.get(session)),
  );
  return infos.sort((a, b) => (a.lead ?? Infinity) - (b.lead ?? Infinity) || (a.id < b.id ? -1 : 1));
}

function infoOf(session: Session, core: ServerCore, now: number, waitsSince: number | undefined): WorkerInfo {
  const { clocks } = core.state;
  const isTraining = !session.isReader && clocks.has(session.id);
  return {
    id: session.id,
    role: session.isReader ? 'reader' : 'worker',
    epoch: session.epoch,
    clock: session.clock,
    lead: isTraining ? session.clock - clocks.minClock : undefined,
    delay: session.lastDelay,
    lastSeenMs: Math.max(0, Math.round(now - session.lastSeen)),
    waitedMs: session.waitedMs + Math.max(0, now - (waitsSince ?? now)),
    awaitedMs: core.awaitedMs(session, now),
    state: stateOf(session, isTraining, waitsSince !== undefined),
  };
}

function stateOf(session: Session, isTraining: boolean, isWaiting: boolean): WorkerInfo['state'] {
  if (session.connection === undefined) return 'disconnected';
  if (!isTraining) return 'idle';
  if (session.isComputing) return 'computing';
  return isWaiting ? 'waiting' : 'training';
}
