/**
 * The parameters of one shard: dense tensors and sparse tables, which have one version together. An update is a job;
 * when it is done it is published, or given up if the user's optimizer threw. It knows no sessions, clocks or policies.
 */
import type { LearningRate } from '../optim/learningRate.js';
import type { Optimizer } from '../optim/optimizer.js';
import { withLearningRate } from '../optim/updateRule.js';
import type { Selection } from '../tensor/catalogue.js';
import type { RowPart } from '../tensor/rowLayout.js';
import type { DenseTable, OptimizerGroup } from './denseTable.js';
import { type Job, JobSequence, RangeJob } from './job.js';
import type { RowTransform, TableSet } from './tableSet.js';

/** Gradients of tensors and of rows. */
export interface Gradients {
  readonly selection: Selection;
  /** The selection's elements. */
  readonly dense: Float32Array;
  readonly rows: readonly RowPart[];
}

/** Dense tensors and sparse tables. */
export class ParameterStore {
  readonly dense: DenseTable;
  readonly tables: TableSet;

  constructor(dense: DenseTable, tables: TableSet) {
    this.dense = dense;
    this.tables = tables;
  }

  /** Updates applied. */
  get version(): number {
    return this.dense.versions.version;
  }

  /** One update; when its job is done, `publish` it. */
  update({ selection, dense: gradient, rows }: Gradients, how: RowTransform): Job {
    if (rows.length === 0) return this.dense.update({ selection, gradient, ...how });
    // Without a gradient the tensors are not touched, and those who read them not disturbed.
    const jobs = function* ({ dense, tables }: ParameterStore): Generator<Job> {
      if (selection.entries.length > 0) yield dense.update({ selection, gradient, ...how });
      yield tables.update(rows, how);
    };
    return new JobSequence(jobs(this));
  }

  /** An update of gradients that are clipped and scaled already. */
  plainUpdate(gradients: Gradients, rates: readonly number[]): Job {
    return this.update(gradients, { factor: 1, clipValue: Number.POSITIVE_INFINITY, rates });
  }

  /** All tensors get other values, and the tables of `rows` other rows; when the job is done, `publish` them. */
  load(values: Float32Array, rows: readonly RowPart[]): Job {
    const target = this.dense.versions.begin(false);
    const copy = new RangeJob(values.length, (begin, end) => {
      this.dense.kernels.copy(target.subarray(begin, end), values.subarray(begin, end));
    });
    return rows.length === 0 ? copy : new JobSequence([copy, this.tables.replace(rows)]);
  }

  /** What was written is the next version. `minClock`: as it was while the one before was current. */
  publish(minClock: number): void {
    const { versions } = this.dense;
    if (versions.isUpdating) versions.publish(this.version + 1, minClock);
    else versions.publishUnchanged(this.version + 1, minClock);
    this.tables.publish();
  }

  /** The user's optimizer threw: what it was to write is no version. Only tensors have such optimizers. */
  abandon(): void {
    if (this.dense.versions.isUpdating) this.dense.versions.abandon();
  }

  /** Replaces the server's optimizer; slots start anew. */
  setOptimizer(optimizer: Optimizer): void {
    this.dense.setOptimizer(optimizer);
    this.tables.restartSlots(0, this.dense.groups[0] as OptimizerGroup);
  }

  /** Another learning rate for the server's optimizer; slots go on. */
  setLearningRate(learningRate: LearningRate): void {
    const { optimizer } = this.dense.groups[0] as OptimizerGroup;
    this.changeOptimizer(0, withLearningRate(optimizer, learningRate));
  }

  /** Another optimizer with the same slots, which go on. */
  changeOptimizer(group: number, optimizer: Optimizer): void {
    this.dense.changeOptimizer(group, optimizer);
    this.tables.changeRule(group, this.dense.groups[group] as OptimizerGroup);
  }
}
