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
import type { EmbeddingTable } from '../table/embeddingTable.js';
import { type Job, JobSequence, JobThen, RangeJob } from '../table/job.js';
import type { RowSums } from '../table/rowSums.js';
import {
  arraysOfTable,
  differenceOfTables,
  metaOfTable,
  newTableArrays,
  restoreTable,
  type TableArrays,
  TableCapture,
  type TableMeta,
} from '../table/tableImage.js';
import type { DataQueueImage } from '../tasks/dataQueue.js';
import type { Catalogue } from '../tensor/catalogue.js';
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
    readonly contributions: readonly ContributionMeta[];
  }[];
  /** The data shards; left out where there never was a data set. */
  readonly data?: DataQueueImage;
  /** The sparse tables; undefined: none. */
  readonly tables?: readonly TableMeta[] | undefined;
}

/** One worker's buffered updates of a clock, without their arrays. */
export interface ContributionMeta {
  readonly worker: string;
  readonly touched: readonly number[];
  /** Tables of which it has rows, and how many; undefined: none. */
  readonly rows?: readonly (readonly [table: number, count: number])[] | undefined;
}

/** Memory that nothing was written to yet is mapped page by page: a copy to it takes so much longer. */
const COST_OF_NEW_MEMORY = 4;

/** The arrays of a state. */
export interface StateArrays {
  /** The whole model, flat. */
  readonly values: Float32Array;
  /** The slots, each over the whole model. */
  readonly slots: readonly Float32Array[];
  /** The rules' numbers of each tensor. */
  readonly scalars: readonly ScalarState[];
  /** The sums of `meta.buffers`, in that order: each as those of its touched tensors, in rising order. */
  readonly sums: readonly (readonly Float32Array[])[];
  /** The rows of each of them, in the order of `rows`. */
  readonly rowSums: readonly (readonly RowSums[])[];
  readonly tables: readonly TableArrays[];
}

/** A state at one moment. */
export interface StateImage {
  readonly meta: StateMeta;
  readonly arrays: StateArrays;
  /** Whether every parameter is finite. */
  readonly isFinite: boolean;
}

/** The plain data of `state`; `isDelta`: of its tables only what has changed. O(sessions + tensors). */
export function metaOf(state: ServerState, isDelta: boolean = false): StateMeta {
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
      contributions: contributions.map(({ rows, ...each }) => ({
        worker: each.worker,
        touched: ClockBuffer.touched({ rows, ...each }),
        ...(rows.size === 0
          ? {}
          : { rows: rowsOf(rows).map(([table, { words }]) => [table, words.length / 2] as const) }),
      })),
    })),
    ...(data.isUsed ? { data: data.save() } : {}),
    ...(state.tables.tables.length === 0
      ? {}
      : {
          tables: state.tables.tables.map((each, i) =>
            metaOfTable(each, state.tables.groupOf[i] as number, isDelta),
          ),
        }),
  };
}

/** The arrays of `state` themselves, not copies; without its tables. */
function denseArraysOf(state: ServerState): Omit<StateArrays, 'tables'> {
  const { versions, scalars, slotCount } = state.table;
  const slots = state.table.slots.slice(0, slotCount);
  const contributions = buffersOf(state).flatMap(([, each]) => each);
  return {
    values: versions.current,
    slots,
    scalars: scalars.map((each) => [...each]),
    sums: contributions.map((each) =>
      ClockBuffer.touched(each).map((index) => each.parts.get(index) as Float32Array),
    ),
    rowSums: contributions.map(({ rows }) => rowsOf(rows).map(([, sums]) => sums)),
  };
}

/** As `denseArraysOf`, with copies of the tables. */
export function arraysOf(state: ServerState): StateArrays {
  return { ...denseArraysOf(state), tables: state.tables.tables.map(arraysOfTable) };
}

/**
 * Copies `state` as it is now into arrays from `allocate`; `done` gets the image. `isDelta`: of its tables only what has
 * changed since their changes are noted. REQUIRES: no update is carried out before the job is done.
 */
export function captureJob(
  state: ServerState,
  allocate: (length: number) => Float32Array,
  done: (image: StateImage) => void,
  isDelta: boolean = false,
): Job {
  const meta = metaOf(state, isDelta);
  const live = denseArraysOf(state);
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
    copies.push(new RangeJob(source.length, onSlice, COST_OF_NEW_MEMORY));
    return copy;
  };
  const { tables } = state.tables;
  const tableArrays = tables.map((table, i) => {
    const into = newTableArrays((meta.tables as readonly TableMeta[])[i] as TableMeta, allocate);
    copies.push(new TableCapture(table, into, isDelta));
    return into;
  });
  const arrays: StateArrays = {
    values: copyOf(live.values),
    slots: live.slots.map(copyOf),
    scalars: live.scalars,
    sums: live.sums.map((parts) => parts.map(copyOf)),
    // Merged anew with each push, never changed.
    rowSums: live.rowSums,
    tables: tableArrays,
  };
  return new JobThen(new JobSequence(copies), () => done({ meta, arrays, isFinite: hasOnlyFinite }));
}

/**
 * Brings `state`, in which nothing has happened yet, to `meta`; returns its arrays, which the caller fills, and then
 * calls `restoreTables`.
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
  const metas = meta.tables ?? [];
  const difference = differenceOfTables(state.tables.tables, state.tables.groupOf, metas);
  if (difference !== undefined) {
    const text = `the state that was kept is of another model than the options: ${difference}`;
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'tables' } });
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
  const sums: Float32Array[][] = [];
  const rowSums: RowSums[][] = [];
  const { dims } = state.tables;
  for (const { clock, contributions } of meta.buffers) {
    const restored = contributions.map((each): Contribution => {
      const { parts, areas } = partsOf(each, table.catalogue, allocate);
      sums.push([...parts.values()]);
      const rows = (each.rows ?? []).map(([position, count]): [number, RowSums] => {
        const values = new Float32Array(count * (dims[position] as number));
        return [position, { words: new Uint32Array(2 * count), values }];
      });
      rowSums.push(rows.map(([, found]) => found));
      return { worker: each.worker, parts, areas, rows: new Map(rows) };
    });
    const buffer = new ClockBuffer(table.catalogue, dims, table.kernels, allocate);
    buffer.restore(restored);
    buffers.set(clock, buffer);
  }
  const tables = metas.map((each) => newTableArrays(each, (length) => new Float32Array(length)));
  const { slots, scalars, versions } = table;
  return { values: versions.current, slots, scalars, sums, rowSums, tables };
}

/** Brings the tables of `state` to `arrays`, which `restoreState` gave and the caller has filled. */
export function restoreTables(state: ServerState, meta: StateMeta, { tables }: StateArrays): void {
  for (const [i, arrays] of tables.entries()) {
    const table = state.tables.tables[i] as EmbeddingTable;
    restoreTable(table, (meta.tables as readonly TableMeta[])[i] as TableMeta, arrays);
  }
}

/** Everything that was decided is committed: what was recovered is durable. */
export function commitAll(state: ServerState): void {
  for (const session of state.sessions.values()) session.committedSeq = session.decidedSeq;
}

/** Memory for the sums of a contribution, by position in rising order. */
function partsOf(
  { touched }: { readonly touched: readonly number[] },
  catalogue: Catalogue,
  allocate: (length: number) => Float32Array,
): Pick<Contribution, 'parts' | 'areas'> {
  // Old files name them in the order in which they were touched.
  const { entries, length } = catalogue.select([...touched].sort((a, b) => a - b));
  const area = allocate(length);
  let at = 0;
  const parts = entries.map((entry): [number, Float32Array] => {
    at += entry.length;
    return [entry.index, area.subarray(at - entry.length, at)];
  });
  return { parts: new Map(parts), areas: length > 0 ? [area] : [] };
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

/** Rows of a contribution, in the order of their tables. */
function rowsOf(rows: ReadonlyMap<number, RowSums>): [table: number, sums: RowSums][] {
  return [...rows].sort(([a], [b]) => a - b);
}

/** Buffered updates by clock, in order of clocks. */
function buffersOf(state: ServerState): [clock: number, contributions: Contribution[]][] {
  const clocks = [...state.buffers].sort(([a], [b]) => a - b);
  return clocks.map(([clock, buffer]) => [clock, buffer.contributions]);
}
