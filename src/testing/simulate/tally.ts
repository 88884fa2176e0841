/** Counts what happens in a simulation: leads, delays, waits, steps. It looks on and changes nothing. */
import type { ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { ClusterObserver } from '../cluster/observer.js';
import { Distribution } from './distribution.js';

/** What one worker did, over all its processes. */
export interface WorkerTally {
  steps: number;
  computeMs: number;
  waitMs: number;
}

/** The counts of one simulation. */
export class Tally implements ClusterObserver {
  readonly leads: Distribution = new Distribution();
  readonly delays: Distribution = new Distribution();
  readonly workers: Map<string, WorkerTally> = new Map();
  updates = 0;
  dropped = 0;
  evictions = 0;
  rollbacks = 0;

  /** The counts of worker `id`. */
  of(id: string): WorkerTally {
    let tally = this.workers.get(id);
    if (tally === undefined) {
      tally = { steps: 0, computeMs: 0, waitMs: 0 };
      this.workers.set(id, tally);
    }
    return tally;
  }

  serverStepped(_event: ServerEvent | undefined, effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind !== 'observe') continue;
      const { observation } = effect;
      switch (observation.kind) {
        case 'pull':
          this.leads.add(Math.max(0, observation.lead));
          this.of(observation.id).waitMs += observation.waitedMs;
          break;
        case 'update':
          this.updates++;
          this.delays.add(observation.delay);
          break;
        case 'dropped':
          this.dropped++;
          break;
        case 'leave':
          if (observation.reason === 'lease' || observation.reason === 'disconnected') this.evictions++;
          break;
        default:
      }
    }
  }

  workerObserves(_worker: string, _process: number, { kind }: { readonly kind: string }): void {
    if (kind === 'rollback') this.rollbacks++;
  }
}
