/**
 * A rule that must hold in every simulated run, as an onlooker: it sees every event and effect of the server,
 * every message as it arrives, and what workers observe. To add one: a class in a file of its own beside
 * this one, whose methods add to `violations` what may not be, and its name in `FURTHER_CHECKS` of `runChecks.ts`.
 * It must say nothing in `npm run sim -- --seeds 20000`, and find a bug that is planted for it
 * (`test/fault/mutants/mutants.ts`): a check that nothing can break checks nothing.
 */
import type { ClusterObserver } from '../cluster/observer.js';
import type { SimCluster } from '../cluster/simCluster.js';
import type { Schedule } from '../search/schedule.js';
import type { CheckModel } from './checkModel.js';
import type { PushLedger } from './pushLedger.js';
import type { VersionHistory } from './versionHistory.js';
import type { Violations } from './violations.js';

/** A rule. */
export interface Check extends ClusterObserver {
  /** Everyone has finished, and nothing is under way. */
  atEnd?(): void;
}

/** What a check knows of its run. */
export interface CheckContext {
  readonly cluster: SimCluster;
  readonly schedule: Schedule;
  readonly model: CheckModel;
  readonly violations: Violations;
  /** Every push, with what was told of it and what was seen of it. */
  readonly ledger: PushLedger;
  /** The parameters in every version. */
  readonly history: VersionHistory;
  /** The number in the model of trainer `id`; undefined for others. */
  readonly numberOf: (id: string) => number | undefined;
}
