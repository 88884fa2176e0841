/** A server's settings in words. */
import type { Consistency } from '../../core/consistency/consistency.js';

/** A consistency model: `SSP, staleness 3`. */
export function describeConsistency(model: Consistency): string {
  switch (model.name) {
    case 'ssp':
      return `SSP, staleness ${model.staleness}`;
    case 'bsp':
      return model.backupWorkers > 0 ? `BSP, ${model.backupWorkers} backup workers` : 'BSP';
    case 'asp':
      return 'ASP';
  }
}
