/**
 * The whole durable state of a shard as plain data and flat arrays: what a checkpoint holds. A capture
 * takes the plain data at once and copies the arrays in slices, between two updates: records without
 * arrays may come meanwhile, and are not in it. Bytes and files are not known here.
 */
import { PsError } from '../base/errors.js';
import type { Consistency } from '../consistency/consistency.js';
import { policyOf } from '../consistency/consistency.js';
import type { Optimizer, ScalarState } from '../optim/optimizer.js';
import { ClockBuffer, type Contribution } from '../table/clockBuffer.js';
import { type Job, JobSequence, JobThen, RangeJob } from '../table/job.js';
import type { DataQueueImage } from '../tasks/dataQueue.js';
import {
  imageOfOptimizer,
  imageOfSettings,
  type OptimizerImage,
  optimizerOfImage,
  type SettingsImage,
  settingsOfImage,
} from './optimizerImage.js';
import { type PushAnswer, Session } from './session.js';
import type { ServerState } from './state.js';

/** What a session must not forget. */
export interface SessionImage {
  readonly id: string;
  readonly key: string;
  readonly epoch: number;
  readonly clock: number;
  readonly decidedSeq: number;
  readonly hasEntered: boolean;
  readonly answers: readonly PushAnswer[];
}

/** Everything but arrays, as JSON data. */
export interface StateMeta {
  readonly version: number;
  readonly minClock: number;
  /** The clock table, in order of entry. */
  readonly clocks: readonly (readonly [id: string, clock: number])[];
  readonly sessions: readonly SessionImage[];
  readonly consistency: Consistency;
  readonly policy: readonly number[];
  /** By group. */
  readonly optimizers: readonly OptimizerImage[];
  /** Group of each tensor. */
  readonly groupOf: readonly number[];
  readonly configured: SettingsImage;
  /** Buffered updates; `touched` are the positions of the tensors that a worker has gradients for. */
  readonly buffers: readonly {
    readonly clock: number;
    readonly contributions: readonly { readonly worker: string; readonly touched: readonly number[] }[];
  }[];
  /** The data shards; left out where there never was a data set. */
  readonly data?: DataQueueImage;
}

/** The arrays of a state. */
export interface StateArrays {
  /** The whole model, flat. */
  readonly values: Float32Array;
  /** The slots, each over the whole model. */
  readonly slots: readonly Float32Array[];
  /** The rules' numbers of each tensor. */
  readonly scalars: readonly ScalarState[];
  /** The sums of `meta.buffers`, in that order, each over the whole model. */
  readonly sums: readonly Float32Array[];
}

/** A state at one moment. */
export interface StateImage {
  readonly meta: StateMeta;
  readonly arrays: StateArrays;
  /** Whether every parameter is finite. */
  readonly isFinite: boolean;
}

/** The plain data of `state`. O(sessions + tensors). */
export function metaOf(state: ServerState): StateMeta {
  const { table, clocks, sessions, model, policy, configured, data } = state;
  return {
    version: state.version,
    minClock: clocks.minClock,
    clocks: [...clocks.entries()],
    sessions: [...sessions.values()].map(({ id, key, epoch, clock, decidedSeq, hasEntered, answers }) => ({
      ...{ id, key, epoch, clock, decidedSeq, hasEntered },
      answers: [...answers],
    })),
    consistency: model,
    policy: [...policy.save()],
    optimizers: table.groups.map(({ optimizer }) => imageOfOptimizer(optimizer)),
    groupOf: [...table.groupOf],
    configured: imageOfSettings(configured),
    buffers: buffersOf(state).map(([clock, contributions]) => ({
      clock,
      contributions: contributions.map(({ worker, touched }) => ({ worker, touched: [...touched] })),
    })),
    ...(data.isUsed ? { data: data.save() } : {}),
  };
}

/** The arrays of `state` themselves, not copies. */
export function arraysOf(state: ServerState): StateArrays {
  const { versions, groups, scalars } = state.table;
  // An optimizer that was replaced may have left more slots behind.
  const slots = state.table.slots.slice(0, Math.max(...groups.map(({ rule }) => rule.slots.length)));
  const sums = buffersOf(state).flatMap(([, contributions]) => contributions.map(({ sum }) => sum));
  return { values: versions.current, slots, scalars: scalars.map((each) => [...each]), sums };
}

/**
 * Copies `state` as it is now into arrays from `allocate`; `done` gets the image. REQUIRES: no update is
 * carried out before the job is done.
 */
export function captureJob(
  state: ServerState,
  allocate: (length: number) => Float32Array,
  done: (image: StateImage) => void,
): Job {
  const meta = metaOf(state);
  const live = arraysOf(state);
  const { kernels } = state.table;
  const copies: Job[] = [];
  let hasOnlyFinite = true;
  const copyOf = (source: Float32Array): Float32Array => {
    const copy = allocate(source.length);
    const onSlice = (begin: number, end: number): void => {
      const part = source.subarray(begin, end);
      copy.set(part, begin);
      if (source === live.values) hasOnlyFinite &&= Number.isFinite(kernels.sumSquares(part, 0));
    };
    copies.push(new RangeJob(source.length, onSlice));
    return copy;
  };
  const arrays: StateArrays = {
    values: copyOf(live.values),
    slots: live.slots.map(copyOf),
    scalars: live.scalars,
    sums: live.sums.map(copyOf),
  };
  return new JobThen(new JobSequence(copies), () => done({ meta, arrays, isFinite: hasOnlyFinite }));
}

/**
 * Brings `state`, in which nothing has happened yet, to `meta`; returns its arrays, which the caller fills.
 * `known`: optimizers that code is taken from. `now`: everyone was last seen then.
 * Throws `PS_INVALID_ARGUMENT` if the options gave other tensors optimizers of their own.
 */
export function restoreState(
  state: ServerState,
  meta: StateMeta,
  options: {
    readonly known: readonly Optimizer[];
    readonly now: number;
  },
): StateArrays {
  const { table, clocks, sessions, buffers } = state;
  const { known, now } = options;
  const { allocate } = state;
  if (table.groupOf.join() !== meta.groupOf.join()) {
    const text = 'other parameters have optimizers of their own than in the state that was kept';
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'parameters' } });
  }
  for (const [group, image] of meta.optimizers.entries()) {
    const optimizer = optimizerOfImage(image, known);
    if (group === 0) table.setOptimizer(optimizer);
    else table.changeOptimizer(group, optimizer);
  }
  table.versions.reset(meta.version);
  sessions.clear();
  for (const image of meta.sessions) sessions.set(image.id, sessionOf(image, now));
  clocks.restore(meta.clocks, meta.minClock);
  state.model = meta.consistency;
  state.policy = policyOf(meta.consistency, clocks);
  state.policy.restore(meta.policy);
  state.configured = settingsOfImage(meta.configured, known);
  if (meta.data !== undefined) state.data.restore(meta.data);
  buffers.clear();
  const sums: Float32Array[] = [];
  for (const { clock, contributions } of meta.buffers) {
    const restored: Contribution[] = contributions.map(({ worker, touched }) => {
      const sum = allocate(table.catalogue.length);
      sums.push(sum);
      return { worker, sum, touched: new Set(touched) };
    });
    const buffer = new ClockBuffer(table.catalogue, table.kernels, allocate);
    buffer.restore(restored);
    buffers.set(clock, buffer);
  }
  return { values: table.versions.current, slots: table.slots, scalars: table.scalars, sums };
}

/** Everything that was decided is committed: what was recovered is durable. */
export function commitAll(state: ServerState): void {
  for (const session of state.sessions.values()) session.committedSeq = session.decidedSeq;
}

function sessionOf(image: SessionImage, now: number): Session {
  const { id, key, epoch, clock, decidedSeq, hasEntered, answers } = image;
  const session = new Session(id, key, epoch, false, now);
  session.clock = clock;
  session.hasEntered = hasEntered;
  for (const answer of answers) session.remember(answer);
  session.decidedSeq = decidedSeq;
  return session;
}

/** Buffered updates by clock, in order of clocks. */
function buffersOf(state: ServerState): [clock: number, contributions: Contribution[]][] {
  const clocks = [...state.buffers].sort(([a], [b]) => a - b);
  return clocks.map(([clock, buffer]) => [clock, buffer.contributions]);
}
