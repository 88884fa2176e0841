/** A server's settings in words. */
import type { Consistency } from '../../core/consistency/consistency.js';

const AGGREGATES = { median: 'median', trimmedMean: 'trimmed mean', krum: 'Krum' } as const;

/** A consistency model: `SSP, staleness 3`. */
export function describeConsistency(model: Consistency): string {
  switch (model.name) {
    case 'ssp':
      return `SSP, staleness ${model.staleness}`;
    case 'bsp':
      return [
        'BSP',
        ...(model.aggregate === undefined ? [] : [AGGREGATES[model.aggregate]]),
        ...(model.backupWorkers > 0 ? [`${model.backupWorkers} backup workers`] : []),
      ].join(', ');
    case 'asp':
      return 'ASP';
  }
}
