/**
 * What the parts of the server core share: the state, the options, the time of the event that is being
 * handled, and the ways out. `ServerCore` makes one and gives it to its parts.
 */
import type { DelayOptions } from '../consistency/delayPolicy.js';
import type { WaitLedger } from '../consistency/waitLedger.js';
import type { Shard } from '../partition/keyRange.js';
import type { NonFinite } from '../protocol/sessionMessages.js';
import type { CommitLog } from './commits.js';
import type { Observation, ServerEffect } from './events.js';
import type { ServerLimits } from './limits.js';
import type { JournalRecord } from './records.js';
import type { ServerState } from './state.js';

/** How a server treats pushes and workers; plain values, checked by the shell. */
export interface ServerCoreOptions {
  /** Random name of this life of the process. */
  readonly incarnation: string;
  /** Random name of the state's history; a recovered server keeps the old one. */
  lineage: string;
  readonly shard: Shard;
  /** Name of the shards of one model; undefined for a server that holds the whole. */
  readonly group?: string | undefined;
  /** No training pull is answered before so many workers have joined. */
  readonly minWorkers: number;
  readonly delay: Required<DelayOptions>;
  readonly clip: { readonly value: number; readonly norm: number };
  readonly nonFinite: NonFinite;
  readonly maxPushNorm: number;
  /** Records must be persisted before they are acknowledged. */
  readonly isDurable: boolean;
  readonly limits: ServerLimits;
}

/** Shared by the parts of one core. */
export interface CoreContext {
  readonly options: ServerCoreOptions;
  readonly state: ServerState;
  readonly commits: CommitLog;
  /** Time of the event that is being handled. */
  now: number;
  /** Until then workers may come whose sessions a recovered state lacks, or has as they once were. */
  mayLackSessionsUntil: number;
  /** Names a stream that the core sends. */
  nextStream(): number;
  /** The version that this life of the server began with: the last that it has in common with the lives before. */
  firstVersion: number;
  /** Something changed that may let waiting pulls be answered or clocks close. */
  isDirty: boolean;
  /** Who makes others wait. */
  readonly waits: WaitLedger;
  /** Milliseconds of a running clock, for measuring alone: nothing is decided by it. */
  readonly stopwatch: () => number;
  emit(effect: ServerEffect): void;
  observe(observation: Observation): void;
}

/** Whether this server holds one of several shards. */
export function isShard({ options }: CoreContext): boolean {
  return options.shard.count > 1;
}

/** Carries out a record that leaves no job to do, and hands it on to be written. Returns its number. */
export function decide(context: CoreContext, record: JournalRecord): number {
  context.state.apply(record, context.now);
  context.isDirty = true;
  return context.commits.append(record);
}
