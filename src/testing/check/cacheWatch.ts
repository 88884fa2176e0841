/**
 * What workers use from their caches: every value holds the updates that the staleness bound demands at the worker's
 * clock, and all of its own. The rule is that of a pull that is answered at that clock (`pullWatch.ts`), looked for in the
 * values themselves, whatever the cache thinks of their age.
 */
import type { Consistency } from '../../core/consistency/consistency.js';
import type { PullAnswer } from '../../core/worker/events.js';
import type { CheckModel } from './checkModel.js';
import type { Cell } from './checkRows.js';
import type { PullWatch } from './pullWatch.js';
import { type LoggedPush, nameOf, type PushLedger } from './pushLedger.js';
import type { Violations } from './violations.js';

/** Who uses values, and at which clock. */
export interface CacheUser {
  readonly id: string;
  readonly number: number;
  readonly clock: number;
  /** The models by one of which it may go. */
  readonly models: readonly Consistency[];
}

/** What is known of the run. */
export interface CacheWatchParts {
  readonly model: CheckModel;
  /** Under BSP: what is added is a mean of gradients. */
  readonly hasMeans: boolean;
  readonly ledger: PushLedger;
  readonly pulls: PullWatch;
  readonly violations: Violations;
}

/** Looks at values that workers with caches use. */
export class CacheWatch {
  readonly #parts: CacheWatchParts;

  constructor(parts: CacheWatchParts) {
    this.#parts = parts;
  }

  /** Tensors: each worker's cells, and the cell that all share, which is their sum. */
  usesTensors(user: CacheUser, { arrays = [] }: PullAnswer, tensors: readonly number[] | undefined): void {
    const { workers } = this.#parts.model.sizes;
    const arrayOf = (tensor: number): Float32Array | undefined =>
      arrays[tensors === undefined ? tensor : tensors.indexOf(tensor)];
    const due = this.#due(user);
    for (const push of due) {
      const cells = arrayOf(push.worker);
      if (cells !== undefined && cells[push.cell] === 0) this.#lacks(user, push, 'tensors');
    }
    const shared = arrayOf(workers)?.[0];
    // Half of an update that is scaled counts as one. Under BSP they are means.
    const least = (due.length * this.#parts.model.unit) / 2;
    if (shared === undefined || shared >= least || this.#parts.hasMeans) return;
    const text = `${user.id} at clock ${user.clock} uses ${shared} for the sum of ${due.length} updates that it is to see`;
    this.#parts.violations.add('older updates are seen', text);
  }

  /** The rows of `cells`. */
  usesRows(user: CacheUser, { arrays }: PullAnswer, cells: readonly Cell[]): void {
    const rows = arrays?.[0];
    if (rows === undefined) return;
    const due = this.#due(user);
    for (const [i, { worker, cell }] of cells.entries()) {
      if (rows[2 * i] !== 0) continue;
      const push = due.find((each) => each.worker === worker && each.cell === cell);
      if (push !== undefined) this.#lacks(user, push, 'rows');
    }
  }

  #lacks({ id, clock }: CacheUser, push: LoggedPush, what: string): void {
    this.#parts.violations.add(
      'older updates are seen',
      `${id} at clock ${clock} uses ${what} without ${nameOf(push)}`,
    );
  }

  /** What it must see by any of the models. */
  #due({ number, clock, models }: CacheUser): LoggedPush[] {
    const { ledger, pulls } = this.#parts;
    return ledger.absences.flatMap((_, worker) => {
      const pushes = ledger.of(worker).filter(({ history }) => history === ledger.history);
      return pushes.filter((push) =>
        models.every((model) => pulls.isDue(push, worker === number, { clock, asked: clock }, model)),
      );
    });
  }
}
