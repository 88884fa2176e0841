/**
 * The rows that a training loop's steps name: asked for together with the step's parameters, as soon as its batch is
 * known, so that they cost no exchange of their own. What was asked for a batch that is not used after all is given up.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { RowIdList } from '../../core/tensor/rowIds.js';
import type { PulledFrom } from '../../core/worker/events.js';
import type { PullManner } from './calls.js';
import { askRows, type PulledRows, type Rows } from './rows.js';
import type { Call, WorkerHost } from './workerHost.js';

/** The rows that a batch needs: ids in any order, by the table's name. */
export type RowsOfBatch<B> = (batch: B) => Readonly<Record<string, RowIdList>>;

/** All rows of one step. */
export interface StepRows {
  /** By the table's name. */
  readonly rows: Readonly<Record<string, Rows>>;
  readonly bytes: number;
  /** What each pull brought. */
  readonly pulled: readonly PulledFrom[];
}

const NO_ROWS: StepRows = { rows: {}, bytes: 0, pulled: [] };

/** The pulls of rows of one loop. */
export class RowsAhead<B> {
  readonly #host: WorkerHost;
  readonly #rowsOf: RowsOfBatch<B> | undefined;
  readonly #manner: PullManner;
  #pending:
    | {
        readonly item: unknown;
        readonly calls: readonly Call<PulledRows>[];
        readonly answer: Promise<StepRows>;
        isAwaited: boolean;
      }
    | undefined;

  /** `rowsOf` undefined: no step needs any. */
  constructor(host: WorkerHost, rowsOf: RowsOfBatch<B> | undefined, timeoutMs: number) {
    if (rowsOf !== undefined && typeof rowsOf !== 'function') {
      throw invalidArgument('rows', rowsOf, 'a function of the batch');
    }
    this.#host = host;
    this.#rowsOf = rowsOf;
    this.#manner = { training: true, wait: false, timeoutMs, countsOffline: false };
  }

  /** Asks for the rows of `batch`, which came as `item`, unless that is done. What fails rejects `take`. */
  ask(item: unknown, batch: B): void {
    if (this.#rowsOf === undefined || this.#pending?.item === item) return;
    this.cancel(new PsError('PS_ABORTED', 'the batch is not used'));
    const calls: Call<PulledRows>[] = [];
    const answer = this.#ask(this.#rowsOf, batch, calls);
    answer.catch(() => {});
    this.#pending = { item, calls, answer, isAwaited: false };
  }

  /** The rows of `batch`. */
  async take(item: unknown, batch: B): Promise<StepRows> {
    this.ask(item, batch);
    if (this.#pending === undefined) return NO_ROWS;
    this.#pending.isAwaited = true;
    const rows = await this.#pending.answer;
    this.#pending = undefined;
    return rows;
  }

  /** What was asked for ahead may be of a state that is gone. */
  forget(): void {
    if (this.#pending?.isAwaited === false) this.cancel(new PsError('PS_ABORTED', 'the state is gone'));
  }

  /** Gives up what was asked for, which rejects with `error`. */
  cancel(error: PsError): void {
    for (const { cancel } of this.#pending?.calls ?? []) cancel(error);
    this.#pending = undefined;
  }

  async #ask(rowsOf: RowsOfBatch<B>, batch: B, calls: Call<PulledRows>[]): Promise<StepRows> {
    const named: unknown = rowsOf(batch);
    if (named === null || typeof named !== 'object') {
      throw invalidArgument('rows', named, 'a function that returns ids by table');
    }
    const catalogue = this.#host.core.catalogue as Catalogue;
    const names = Object.keys(named);
    for (const name of names) {
      const ids = (named as Record<string, RowIdList>)[name] as RowIdList;
      calls.push(askRows(this.#host, catalogue, name, ids, this.#manner, {}));
    }
    const answers = await Promise.all(calls.map(({ answer }) => answer));
    return {
      rows: Object.fromEntries(answers.map(({ rows }, i) => [names[i], rows])),
      bytes: answers.reduce((sum, { bytes }) => sum + bytes, 0),
      pulled: answers.map(({ pulled }) => pulled),
    };
  }
}
