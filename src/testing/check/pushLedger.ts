/**
 * What the workers of a checked run have pushed: every push with what was told about it and what was seen
 * of it in the parameters. It knows the truth from outside; what must hold between the two is checked here.
 */

import type { DataRange } from '../../core/tasks/dataProgress.js';
import type { PushAnswer } from '../../core/worker/events.js';
import type { Ended } from '../cluster/simWorker.js';
import type { Violations } from './violations.js';

/** What pushes fail with that were not refused: their worker has ended, or what became of them is not known. */
const ENDED = new Set(['PS_OUTCOME_UNKNOWN', 'PS_CLOSED', 'PS_FENCED', 'PS_CONNECTION_LOST']);

/** A version that was pulled, from which life of the server. */
export interface PulledFrom {
  readonly version: number;
  readonly life: number;
}

/** One push. */
export interface LoggedPush {
  readonly worker: number;
  /** Which process of the worker made it. */
  readonly process: number;
  readonly cell: number;
  /** Which history of the server it was made for. */
  readonly history: number;
  /** Its number within the session. */
  readonly seq: number;
  /** The clock that it was made in. */
  clock: number;
  /** The version that it was computed from, and the server's life that counted it. */
  readonly pulled: PulledFrom | undefined;
  /** The examples that count with it; undefined: none. */
  readonly range: DataRange | undefined;
  /** How often the worker had been out of the clock table when it was made. */
  readonly absences: number;
  /** What the worker was told; undefined: nothing so far. */
  told: 'applied' | 'buffered' | 'scaled' | 'dropped' | 'refused' | 'unknown' | undefined;
  /** The server said that it drops it: it may not be waited for, but until it is told nothing is decided. */
  isDropped: boolean;
  /** The server went back to a state without it, as it may. */
  isLost: boolean;
  /** The version in which it was first seen; undefined: it was not. */
  appliedAt: number | undefined;
  /** The life of the server that applied it; undefined: it is not known. */
  appliedIn: number | undefined;
}

/** The pushes of all workers. */
export class PushLedger {
  readonly #violations: Violations;
  readonly #cells: number;
  /** By worker, in the order in which they were made. */
  readonly #pushes: LoggedPush[][];
  /** The push that has a cell in the present history. */
  readonly #byCell: (LoggedPush | undefined)[][];
  /** How often each worker has been out of the clock table. */
  readonly absences: number[];
  /** Whether each worker is in the clock table, and where it last entered: a push of an earlier clock is late. */
  readonly isIn: boolean[];
  readonly entryClocks: number[];
  /** The process that may change anything, of each worker. */
  readonly admitted: number[];
  /** How often each worker was told of a rollback. */
  readonly rollbacks: number[];
  /** The last sequence number of each process. */
  readonly #lastSeq = new Map<number, number>();
  /** With which version each life of the server began. */
  readonly #firstVersions: number[] = [];
  #history = 1;
  /** The life whose updates are seen now; undefined while a state is looked at that was recovered. */
  #life: number | undefined;
  answered = 0;

  constructor(workers: number, cells: number, violations: Violations) {
    this.#violations = violations;
    this.#cells = cells;
    const empty = <T>(value: () => T): T[] => Array.from({ length: workers }, value);
    this.#pushes = empty(() => []);
    this.#byCell = empty(() => []);
    this.absences = empty(() => 0);
    this.isIn = empty(() => false);
    this.entryClocks = empty(() => 0);
    this.admitted = empty(() => 0);
    this.rollbacks = empty(() => 0);
  }

  /** Which history of the server it is. */
  get history(): number {
    return this.#history;
  }

  /** Pushes of `worker`, oldest first. */
  of(worker: number): readonly LoggedPush[] {
    return this.#pushes[worker] as LoggedPush[];
  }

  /** The push that `cell` of `worker` stands for in the present history. */
  atCell(worker: number, cell: number): LoggedPush | undefined {
    return this.#byCell[worker]?.[cell];
  }

  /** A worker makes a push. */
  issue(
    made: Pick<LoggedPush, 'worker' | 'process' | 'clock' | 'pulled'> & Partial<Pick<LoggedPush, 'range'>>,
  ): LoggedPush {
    const before = this.#pushes[made.worker] as LoggedPush[];
    const cells = this.#byCell[made.worker] as (LoggedPush | undefined)[];
    const cell = this.#freeCell(cells, before.length % this.#cells);
    if (cell === undefined) {
      this.#violations.add('harness', `worker ${made.worker} has more pushes than cells`);
    }
    const key = keyOf(made.worker, made.process);
    const seq = (this.#lastSeq.get(key) ?? 0) + 1;
    this.#lastSeq.set(key, seq);
    const push: LoggedPush = {
      worker: made.worker,
      process: made.process,
      clock: made.clock,
      pulled: made.pulled,
      range: made.range,
      cell: cell ?? 0,
      history: this.#history,
      seq,
      isDropped: false,
      isLost: false,
      absences: this.absences[made.worker] as number,
      told: undefined,
      appliedAt: undefined,
      appliedIn: undefined,
    };
    before.push(push);
    cells[push.cell] = push;
    return push;
  }

  /** The first cell from `from` on that no push of the present history has or may still get. */
  #freeCell(cells: readonly (LoggedPush | undefined)[], from: number): number | undefined {
    for (let i = 0; i < this.#cells; i++) {
      const cell = (from + i) % this.#cells;
      const earlier = cells[cell];
      if (earlier === undefined) return cell;
      const { appliedAt, told, isLost } = earlier;
      if (appliedAt === undefined && (isLost || told === 'dropped' || told === 'refused')) return cell;
    }
    return undefined;
  }

  /** A process goes back to the sequence number that the server has; what it pulled before counts for nothing. */
  rollBack(worker: number, process: number, seq: number): void {
    this.#lastSeq.set(keyOf(worker, process), seq);
    this.rollbacks[worker] = (this.rollbacks[worker] as number) + 1;
  }

  /** A push comes to the server, made in `clock`: the worker may have been moved up meanwhile. */
  arrives(worker: number, process: number, seq: number, clock: number): void {
    const push = this.of(worker).findLast((each) => each.process === process && each.seq === seq);
    if (push?.history === this.#history) push.clock = clock;
  }

  /** The server drops a push of `worker` that was made in `clock`: the first that is not decided. */
  drops(worker: number, clock: number): void {
    const process = this.admitted[worker];
    const push = this.of(worker).find(
      (each) =>
        each.history === this.#history &&
        each.process === process &&
        each.clock === clock &&
        each.appliedAt === undefined &&
        each.told === undefined &&
        !each.isDropped,
    );
    if (push !== undefined) push.isDropped = true;
  }

  /** Life `life` of the server begins with `version`; what is seen until `goesOn` is of earlier ones. */
  beginLife(life: number, version: number): void {
    this.#firstVersions[life] = version;
    this.#life = undefined;
  }

  goesOn(life: number): void {
    this.#life = life;
  }

  /** The server lost everything: a new history begins. */
  restart(): void {
    this.#history++;
    for (const cells of this.#byCell) cells.length = 0;
    this.admitted.fill(0);
    this.#shake();
  }

  /**
   * The server went back to `version`: what was applied after it is not any more. `mayLose`: although it
   * was told. What was applied after `seen` will be seen again.
   */
  recover(version: number, seen: number, mayLose: boolean): void {
    for (const push of this.#pushes.flat()) {
      if (push.history !== this.#history) continue;
      const isGone = push.appliedAt === undefined || push.appliedAt > version;
      const wasTold = push.told === 'applied' || push.told === 'scaled';
      if (isGone && wasTold && !mayLose && !push.isLost) {
        const text = `${nameOf(push)} was ${push.told} and is lost by a restart`;
        this.#violations.add('acknowledged is kept', text);
      }
      if (isGone && mayLose) push.isLost = true;
      if (push.appliedAt !== undefined && push.appliedAt > seen) push.appliedAt = undefined;
    }
    if (mayLose) this.#shake();
  }

  /** Who was where in the clock table says nothing any more. */
  #shake(): void {
    for (let w = 0; w < this.absences.length; w++) this.absences[w] = (this.absences[w] as number) + 1;
  }

  /** A push was seen in version `version` for the first time. `isDirect`: it was not buffered before. */
  seen(push: LoggedPush, version: number, isDirect: boolean): void {
    const { told, history } = push;
    if (push.appliedAt !== undefined) {
      this.#violations.add(
        'applied once',
        `${nameOf(push)} is applied in versions ${push.appliedAt} and ${version}`,
      );
    }
    if (told === 'dropped' || told === 'refused') {
      this.#violations.add(
        'told what was done',
        `${nameOf(push)} was ${told} and is applied in version ${version}`,
      );
    }
    if (history !== this.#history) {
      this.#violations.add('rollback', `${nameOf(push)} was made for another history and is applied`);
    }
    if (isDirect && push.process < (this.admitted[push.worker] as number)) {
      this.#violations.add('fenced', `${nameOf(push)} is applied, and a later process has taken over`);
    }
    push.appliedAt = version;
    push.appliedIn = this.#life;
  }

  /** The worker is told what became of a push. */
  ended(push: LoggedPush, ended: Ended<PushAnswer>): void {
    const { error, value } = ended;
    if (error !== undefined) {
      push.told = ENDED.has(error.code) ? 'unknown' : 'refused';
      if (push.told === 'refused') {
        this.#violations.add('no push is refused', `${nameOf(push)}: ${error.code} ${error.message}`);
      }
      return;
    }
    this.answered++;
    push.told = value.outcome;
    if (push.history !== this.#history) return;
    const isThere = value.outcome === 'applied' || value.outcome === 'scaled';
    if (isThere && !push.isLost && push.appliedAt !== value.version) {
      const where = push.appliedAt === undefined ? 'is not' : `is in version ${push.appliedAt}`;
      this.#violations.add(
        'told what was done',
        `${nameOf(push)} was told version ${value.version} and ${where}`,
      );
    }
    if (value.outcome === 'dropped' && push.appliedAt !== undefined) {
      this.#violations.add('told what was done', `${nameOf(push)} was dropped, and is applied`);
    }
    this.#checkDelay(push, value);
  }

  #checkDelay(push: LoggedPush, { outcome, delay, version }: PushAnswer): void {
    const { pulled, appliedIn } = push;
    if (pulled === undefined || appliedIn === undefined) return;
    if (outcome !== 'applied' && outcome !== 'scaled') return;
    // Versions of an earlier life count as far as both lives have them in common.
    const common = pulled.life === appliedIn ? Infinity : (this.#firstVersions[appliedIn] as number);
    const expected = version - 1 - Math.min(pulled.version, common);
    if (delay === expected) return;
    const text = `${nameOf(push)} has delay ${expected} and was told ${delay}`;
    this.#violations.add('delay', text);
  }

  /** Everything is over: what was buffered is in. */
  checkEnd(): void {
    for (const pushes of this.#pushes) {
      for (const push of pushes) {
        const isThere = push.appliedAt !== undefined || push.isLost || push.history !== this.#history;
        if (push.told !== 'buffered' || isThere) continue;
        this.#violations.add('told what was done', `${nameOf(push)} was buffered and never applied`);
      }
    }
  }
}

function keyOf(worker: number, process: number): number {
  return process * 65_536 + worker;
}

/** How a push is called in texts. */
export function nameOf({ worker, process, cell, clock }: LoggedPush): string {
  return `push ${cell} of worker ${worker} (process ${process}, clock ${clock})`;
}
