/**
 * The dense parameters and their optimizer's slots, as flat arrays over the catalogue's range, and
 * the one place that changes them. An update is a job of slices; the version rises once, at its end.
 * It knows no sessions, clocks or policies.
 */
import type { Kernels } from '../kernels/kernels.js';
import { type LearningRate, learningRateAt } from '../optim/learningRate.js';
import type { Optimizer, ScalarState, UpdateRule } from '../optim/optimizer.js';
import { isUserOptimizer, learningRateOf, updateRuleOf } from '../optim/updateRule.js';
import type { Catalogue, CatalogueEntry } from '../tensor/catalogue.js';
import { ChangeMarks } from './changeMarks.js';
import { IN_PLACE_ELEMENTS, type Job, RangeJob } from './job.js';
import { type DenseUpdate, UpdateJob } from './updateJob.js';
import { UpdateUndo } from './updateUndo.js';
import { VersionStore } from './versionStore.js';

/** Elements that stay in a first or second-level cache while a gradient is scaled, clipped and applied. */
const SCRATCH_ELEMENTS = 16_384;

/** Tensors that share one optimizer. */
export interface OptimizerGroup {
  optimizer: Optimizer;
  rule: UpdateRule;
  learningRate: LearningRate;
}

/** What a dense table is made of. */
export interface DenseTableOptions {
  readonly catalogue: Catalogue;
  /** The first values, flat; owned by the table from now on. */
  readonly values: Float32Array;
  /** The optimizer of tensors without one of their own. */
  readonly optimizer: Optimizer;
  /** Optimizers of single tensors, by name. */
  readonly ownOptimizers: ReadonlyMap<string, Optimizer>;
  readonly pinnedVersions: number;
  readonly kernels: Kernels;
  readonly allocate: (length: number) => Float32Array;
}

/** Dense parameters with their optimizer state. */
export class DenseTable {
  readonly catalogue: Catalogue;
  /** When what was changed, for those who keep copies. */
  readonly changes: ChangeMarks;
  readonly versions: VersionStore;
  readonly kernels: Kernels;
  /** Group 0 is the server's optimizer; the others belong to single tensors. */
  readonly groups: OptimizerGroup[] = [];
  /** Group of each tensor, by position. */
  readonly groupOf: number[];
  /** Slot arrays; a tensor uses the first ones, as many as its rule has. */
  slots: Float32Array[] = [];
  /** Nobody reads: every update is written in place, as in a replay. */
  isUnread = false;
  /** The rule's few numbers for each tensor, by position. */
  readonly scalars: ScalarState[];
  /** A small area for gradients that are scaled or clipped; nothing stays in it. */
  readonly scratch: Float32Array;
  /** The same for parameters as they were before an update in place. */
  readonly before: Float32Array;
  readonly #allocate: (length: number) => Float32Array;
  /** Once there is an optimizer that may throw. */
  #undo: UpdateUndo | undefined;

  constructor(options: DenseTableOptions) {
    this.catalogue = options.catalogue;
    this.kernels = options.kernels;
    this.#allocate = options.allocate;
    this.scratch = options.allocate(SCRATCH_ELEMENTS);
    this.before = options.allocate(SCRATCH_ELEMENTS);
    const { values, pinnedVersions, allocate } = options;
    this.changes = new ChangeMarks(this.catalogue);
    this.versions = new VersionStore(values, pinnedVersions, allocate, this.changes);
    this.groups.push(groupOf(options.optimizer));
    this.groupOf = this.catalogue.entries.map((entry) => {
      const own = options.ownOptimizers.get(entry.name);
      return own === undefined ? 0 : this.groups.push(groupOf(own)) - 1;
    });
    this.scalars = this.catalogue.entries.map((entry) => this.ruleOf(entry).newScalars());
    this.#resetSlots(this.catalogue.entries);
  }

  /** The rule of a tensor. */
  ruleOf(entry: CatalogueEntry): UpdateRule {
    return (this.groups[this.groupOf[entry.index] as number] as OptimizerGroup).rule;
  }

  /** A group for something beside the tensors; returns its number. */
  addGroup(optimizer: Optimizer): number {
    return this.groups.push(groupOf(optimizer)) - 1;
  }

  /** Replaces the optimizer of the tensors that have none of their own; their slots start anew. */
  setOptimizer(optimizer: Optimizer): void {
    this.groups[0] = groupOf(optimizer);
    const concerned = this.catalogue.entries.filter((entry) => this.groupOf[entry.index] === 0);
    for (const entry of concerned) this.scalars[entry.index] = this.ruleOf(entry).newScalars();
    this.#resetSlots(concerned);
  }

  /** Replaces the optimizer of group `index`, and keeps the slots. REQUIRES: it has the same ones. */
  changeOptimizer(index: number, optimizer: Optimizer): void {
    this.groups[index] = groupOf(optimizer);
  }

  /** All slots and scalars start anew. */
  restartSlots(): void {
    for (const entry of this.catalogue.entries) this.scalars[entry.index] = this.ruleOf(entry).newScalars();
    this.#resetSlots(this.catalogue.entries);
  }

  /** The slots in use get other values, each over the whole range, one behind the other. */
  loadSlots(values: Float32Array): Job {
    const { length } = this.catalogue;
    return new RangeJob(values.length, (begin, end) => {
      for (let at = begin; at < end; ) {
        const slot = Math.floor(at / length);
        const until = Math.min(end, (slot + 1) * length);
        (this.slots[slot] as Float32Array).set(values.subarray(at, until), at - slot * length);
        at = until;
      }
    });
  }

  /**
   * Begins an update; when its job is done, publish it in `versions`. A table that is not large is written
   * in place when nobody reads it. The user's own optimizers may throw half-way: as long as there is other memory
   * they don't write in place, and what they overwrite is put back.
   */
  update(update: DenseUpdate): Job {
    const mayThrow = this.groups.some((group) => isUserOptimizer(group.optimizer));
    const mayWriteInPlace = this.catalogue.length <= IN_PLACE_ELEMENTS && !mayThrow;
    const { entries } = update.selection;
    const isWhole = entries.length === this.catalogue.entries.length;
    const changed = isWhole ? undefined : entries.map(({ index }) => index);
    const { versions } = this;
    const target = versions.begin(mayWriteInPlace || this.isUnread, changed);
    if (mayThrow) this.#undo ??= new UpdateUndo(this.kernels, this.#allocate);
    else this.#undo = undefined;
    const { current: source, missing } = versions;
    this.changes.begin(true);
    return new UpdateJob(this, update, { source, target, missing, undo: this.#undo });
  }

  /** The learning rates of all groups at the current version, times `factor`. Throws what a schedule throws. */
  ratesNow(factor: number): number[] {
    const { version } = this.versions;
    return this.groups.map((group) => learningRateAt(group.learningRate, version) * factor);
  }

  /** Slot arrays that are in use: an optimizer that was replaced may have left more behind. O(tensors). */
  get slotCount(): number {
    return this.catalogue.entries.reduce((most, each) => Math.max(most, this.ruleOf(each).slots.length), 0);
  }

  /** Slot `index` of `entry`, as a view. */
  slotOf(entry: CatalogueEntry, index: number): Float32Array {
    return (this.slots[index] as Float32Array).subarray(entry.offset, entry.offset + entry.length);
  }

  #resetSlots(entries: readonly CatalogueEntry[]): void {
    while (this.slots.length < this.slotCount) this.slots.push(this.#allocate(this.catalogue.length));
    for (const entry of entries) {
      const starts = this.ruleOf(entry).slotStart;
      for (let i = 0; i < starts.length; i++) this.slotOf(entry, i).fill(starts[i] as number);
    }
  }
}

function groupOf(optimizer: Optimizer): OptimizerGroup {
  return {
    optimizer,
    rule: updateRuleOf(optimizer),
    learningRate: learningRateOf(optimizer),
  };
}
