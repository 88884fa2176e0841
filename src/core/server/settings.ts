/**
 * What a start with other options than before means for a state that was recovered: settings that were
 * changed while the server ran stay, unless the options themselves have changed since; those then count.
 */
import { invalidArgument, type PsError } from '../base/errors.js';
import type { Optimizer } from '../optim/optimizer.js';
import { learningRateOf, withLearningRate } from '../optim/updateRule.js';
import { type Job, JobThen } from '../table/job.js';
import type { CoreContext } from './context.js';
import {
  hasSameState,
  imageOfOptimizer,
  imageOfSettings,
  isSameOptimizer,
  unknownSchedule,
} from './optimizerImage.js';
import type { JournalRecord, Settings } from './records.js';
import type { ServerState } from './state.js';

/** The records that bring a recovered state to the options, and what its owner should know. */
export interface SettingsChange {
  readonly records: readonly ((state: ServerState) => JournalRecord)[];
  readonly warnings: readonly string[];
}

/** Throws `PS_INVALID_ARGUMENT` if an optimizer of the options can't go on with the slots of the state. */
export function settingsChange(state: ServerState, options: Settings): SettingsChange {
  const { table, configured } = state;
  const warnings: string[] = [];
  const optimizers = table.groups.map(({ optimizer: current }, group) => {
    const given = options.optimizers[group] as Optimizer;
    const chosen = choose(current, given, configured.optimizers[group]);
    if (chosen === undefined) throw unfit(optionOf(state, group), given, current);
    if (learningRateOf(chosen) !== unknownSchedule) return chosen;
    warnings.push(`${current.name} had a learning rate that was a function; that of the options is used now`);
    return withLearningRate(chosen, learningRateOf(given));
  });
  const records: ((state: ServerState) => JournalRecord)[] = [];
  const isOther = optimizers.some((each, group) => each !== table.groups[group]?.optimizer);
  const isReconfigured =
    JSON.stringify(imageOfSettings(options)) !== JSON.stringify(imageOfSettings(configured));
  if (isOther || isReconfigured) records.push(() => ({ kind: 'settings', optimizers, configured: options }));
  const model = options.consistency;
  if (JSON.stringify(model) !== JSON.stringify(configured.consistency)) {
    records.push((now) => ({ kind: 'consistency', model, rates: now.table.ratesNow(1) }));
  }
  return { records, warnings };
}

/** A change that records what `record` gives. */
export function recording(record: (state: ServerState) => JournalRecord): (context: CoreContext) => Job {
  return ({ state, commits, now }) => {
    const decided = record(state);
    return new JobThen(state.apply(decided, now), () => commits.append(decided));
  };
}

/** The optimizer to go on with; undefined if there is none. */
function choose(current: Optimizer, given: Optimizer, before: Optimizer | undefined): Optimizer | undefined {
  const image = imageOfOptimizer(given);
  const isUnchanged = before !== undefined && isSameOptimizer(image, imageOfOptimizer(before));
  const fits = hasSameState(image, imageOfOptimizer(current));
  if (fits) return isUnchanged ? current : given;
  // Another one was set while the server ran; the options still name the one before.
  const isReplaced = before !== undefined && hasSameState(image, imageOfOptimizer(before));
  return isReplaced && imageOfOptimizer(current).hyperparameters !== null ? current : undefined;
}

function optionOf(state: ServerState, group: number): string {
  const entry = state.table.catalogue.entries.find(({ index }) => state.table.groupOf[index] === group);
  return group === 0 || entry === undefined ? 'optimizer' : `parameters.${entry.name}.optimizer`;
}

function unfit(option: string, given: Optimizer, current: Optimizer): PsError {
  const expected = `"${current.name}" with slots [${current.slots.join(', ')}], whose state is in dataDir (setOptimizer changes it)`;
  return invalidArgument(option, `${given.name} [${given.slots.join(', ')}]`, expected);
}
