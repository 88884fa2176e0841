/**
 * Workers as a table shows them: what they did lately, from the differences between looks at the server.
 * And the verdict that people look for first: who is slow, and what that costs the others.
 */
import type { WorkerInfo } from '../../io/serverReport.js';

/** "Lately": long enough to be calm, short enough to see a change. */
const WINDOW_MS = 10_000;

/** A worker, and what it did within the window. */
export interface WorkerRow extends WorkerInfo {
  /** Steps per second; undefined while it does not train, and at the first look. */
  readonly stepsPerS: number | undefined;
  /** Share of its time that its pulls waited, 0 to 1. */
  readonly waitShare: number | undefined;
  /** Share of all waiting that was for it, 0 to 1; 0 where nobody waited. */
  readonly awaitedShare: number | undefined;
}

interface Look {
  readonly atMs: number;
  readonly workers: ReadonlyMap<string, WorkerInfo>;
}

/** Remembers the looks of the window. */
export class WorkerHistory {
  readonly #looks: Look[] = [];

  /** The rows after one more look, in the order of `workers`. O(workers). */
  rows(atMs: number, workers: readonly WorkerInfo[]): WorkerRow[] {
    const now: Look = { atMs, workers: new Map(workers.map((worker) => [keyOf(worker), worker])) };
    // A server that began anew: what was before is of another life.
    if (atMs < (this.#looks.at(-1)?.atMs ?? atMs)) this.#looks.length = 0;
    while (this.#looks.length > 1 && atMs - (this.#looks[1] as Look).atMs >= WINDOW_MS) this.#looks.shift();
    const before = this.#looks[0];
    this.#looks.push(now);
    const pairs = workers.map((worker) => [worker, before?.workers.get(keyOf(worker))] as const);
    let awaited = 0;
    for (const [worker, old] of pairs) awaited += old === undefined ? 0 : worker.awaitedMs - old.awaitedMs;
    return pairs.map(([worker, old]) => rowOf(worker, old, atMs - (before?.atMs ?? atMs), awaited));
  }
}

function keyOf({ id, role, epoch }: WorkerInfo): string {
  return `${role} ${epoch} ${id}`;
}

function rowOf(worker: WorkerInfo, old: WorkerInfo | undefined, ms: number, awaited: number): WorkerRow {
  if (old === undefined || ms <= 0 || worker.lead === undefined) {
    return { ...worker, stepsPerS: undefined, waitShare: undefined, awaitedShare: undefined };
  }
  return {
    ...worker,
    stepsPerS: (1000 * (worker.clock - old.clock)) / ms,
    waitShare: Math.min(1, Math.max(0, (worker.waitedMs - old.waitedMs) / ms)),
    awaitedShare: awaited <= 0 ? 0 : (worker.awaitedMs - old.awaitedMs) / awaited,
  };
}

/** Who holds the others up. */
export interface Verdict {
  /** The worker; undefined: nobody. */
  readonly id: string | undefined;
  /** A sentence for people. */
  readonly text: string;
  /** Whether it is worth a warning. */
  readonly isTrouble: boolean;
}

/** Less waiting than this share of everyone's time is not worth a name. */
const WORTH_NAMING = 0.01;
/** More is trouble. */
const TROUBLE = 0.2;

/** Share of the training workers' time that their pulls waited, 0 to 1; undefined while it is not known. */
export function waitShareOf(rows: readonly WorkerRow[]): number | undefined {
  const known = rows.filter(({ waitShare }) => waitShare !== undefined);
  if (known.length === 0) return undefined;
  return known.reduce((sum, { waitShare = 0 }) => sum + waitShare, 0) / known.length;
}

/** The verdict on `rows`. */
export function verdictOf(rows: readonly WorkerRow[]): Verdict {
  const training = rows.filter(({ lead }) => lead !== undefined);
  if (training.length === 0) return { id: undefined, text: 'No worker trains.', isTrouble: false };
  const known = training.filter(({ waitShare }) => waitShare !== undefined);
  const share = waitShareOf(known);
  if (share === undefined) return { id: undefined, text: 'Measuring …', isTrouble: false };
  const slowest = known.reduce((most, row) =>
    (row.awaitedShare ?? 0) > (most.awaitedShare ?? 0) ? row : most,
  );
  const { id, awaitedShare = 0, state, lastSeenMs } = slowest;
  if (share < WORTH_NAMING || awaitedShare <= 0) {
    return { id: undefined, text: 'Nobody waits for anybody.', isTrouble: false };
  }
  const isSilent = state === 'disconnected' || lastSeenMs > 3000;
  const silence = isSilent ? `, and was last heard ${Math.round(lastSeenMs / 1000)} s ago` : '';
  const percent = (part: number): string => `${Math.round(part * 100)}\u00a0%`;
  const text =
    `${id} holds the others up: ${percent(awaitedShare)} of all waiting is for it${silence}. ` +
    `Workers spend ${percent(share)} of their time waiting.`;
  return { id, text, isTrouble: share >= TROUBLE };
}

/** What rows can be sorted by. */
export type SortKey =
  | 'id'
  | 'clock'
  | 'lead'
  | 'delay'
  | 'stepsPerS'
  | 'waitShare'
  | 'awaitedShare'
  | 'state';

/** `rows` sorted by `key`; ties by id. What is undefined comes last either way. */
export function sorted(rows: readonly WorkerRow[], key: SortKey, isDescending: boolean): WorkerRow[] {
  const sign = isDescending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[key], b[key]];
    if (x === undefined || y === undefined) {
      if (x === y) return compareIds(a, b);
      return x === undefined ? 1 : -1;
    }
    const order = typeof x === 'string' ? collate(x, String(y)) : x - Number(y);
    return order === 0 ? compareIds(a, b) : sign * order;
  });
}

function compareIds(a: WorkerRow, b: WorkerRow): number {
  return collate(a.id, b.id);
}

/** worker-9 before worker-10. */
function collate(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
