/**
 * What the parameters were in every version of the present life of the server, and which pushes brought
 * each about. It looks at the parameters after each turn, and holds every change against what the pushes
 * there are could have made of it: nothing else may have changed, no push may count twice.
 */
import type { Observation, ServerEffect } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { CheckModel } from './checkModel.js';
import { type LoggedPush, nameOf, type PushLedger } from './pushLedger.js';
import type { Violations } from './violations.js';

type Update = Extract<Observation, { kind: 'update' }>;

/** One cell that has changed. */
interface Change {
  readonly at: number;
  readonly amount: number;
  readonly worker: number;
  readonly push: LoggedPush;
}

/** Settings that say what an update may be worth. */
export interface HistoryRules {
  readonly model: CheckModel;
  /** The number in the model of a worker's id. */
  readonly numberOf: (id: string) => number;
  /** What a push with delay τ is multiplied with. */
  readonly factorOf: (delay: number) => number;
}

/** The versions of the parameters. */
export class VersionHistory {
  readonly #rules: HistoryRules;
  readonly #ledger: PushLedger;
  readonly #violations: Violations;
  #values: Float32Array;
  #version = 0;
  /** By version; some between two turns are unknown. */
  #snapshots = new Map<number, Float32Array>();
  #updates: Update[] = [];
  #modelName = '';
  #isUnsure = false;
  /** Largest delay among updates. */
  maxDelay = 0;
  applied = 0;

  constructor(rules: HistoryRules, ledger: PushLedger, violations: Violations) {
    this.#rules = rules;
    this.#ledger = ledger;
    this.#violations = violations;
    this.#values = new Float32Array(rules.model.length);
  }

  /** The parameters in `version`, or undefined if they were never seen. */
  at(version: number): Float32Array | undefined {
    return this.#snapshots.get(version);
  }

  get version(): number {
    return this.#version;
  }

  /** Pushes of the present values. */
  get snapshots(): ReadonlyMap<number, Float32Array> {
    return this.#snapshots;
  }

  /**
   * A life of the server begins. `isFresh`: with nothing; else with the state that was kept. `mayLose`: what
   * was told may be missing in it.
   */
  start(core: ServerCore, isFresh: boolean, mayLose: boolean): void {
    this.#updates = [];
    this.#modelName = core.state.model.name;
    if (isFresh) {
      this.#snapshots = new Map();
      this.#values = new Float32Array(this.#rules.model.length);
      this.#version = 0;
    } else {
      this.#goBackTo(core.state.version, mayLose);
    }
    this.#snapshots = new Map([...this.#snapshots].filter(([version]) => version <= this.#version));
    this.#snapshots.set(this.#version, this.#values);
    this.#isUnsure = true;
    this.#compare(core);
  }

  /** The server has taken a turn. */
  stepped(core: ServerCore, effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'observe' && effect.observation.kind === 'update')
        this.#updates.push(effect.observation);
    }
    const { name } = core.state.model;
    if (name !== this.#modelName) {
      this.#modelName = name;
      this.#isUnsure = true;
    }
    if (core.state.version !== this.#version || this.#updates.length > 0) this.#compare(core);
    // A change of the model that made no version leaves nothing to be unsure of.
    else if (!core.state.table.versions.isWritingInPlace) this.#isUnsure = false;
  }

  #goBackTo(version: number, mayLose: boolean): void {
    // The last version not after it that was seen; those between two turns may not have been.
    let seen = 0;
    for (const each of this.#snapshots.keys()) if (each <= version && each > seen) seen = each;
    this.#ledger.recover(version, seen, mayLose);
    this.#values = this.#snapshots.get(seen) ?? this.#values;
    this.#version = seen;
  }

  #compare(core: ServerCore): void {
    const { versions } = core.state.table;
    // Half an update is no version: it is looked at when it is whole.
    if (versions.isWritingInPlace) return;
    const updates = this.#updates;
    this.#updates = [];
    const target = versions.current;
    const changes = this.#changesTo(target);
    const isWhole = updates.length === core.state.version - this.#version;
    if (isWhole && !this.#isUnsure) this.#applyEach(updates, changes, core);
    else this.#applyAll(changes, core.state.version);
    this.#isUnsure = false;
    this.#checkSums(target);
  }

  #changesTo(target: Float32Array): Change[] {
    const { model } = this.#rules;
    const { workers, cells } = model.sizes;
    const changes: Change[] = [];
    const values = this.#values;
    for (let worker = 0; worker < workers; worker++) {
      for (let cell = 0; cell < cells; cell++) {
        const at = model.at(worker, cell);
        if (target[at] === values[at]) continue;
        const amount = (target[at] as number) - (values[at] as number);
        const push = this.#ledger.atCell(worker, cell);
        if (push === undefined)
          this.#violations.add('only pushes', `cell ${cell} of worker ${worker} has changed by ${amount}`);
        else changes.push({ at, amount, worker, push });
      }
    }
    return changes.sort((a, b) => a.worker - b.worker || orderOf(this.#ledger, a) - orderOf(this.#ledger, b));
  }

  /** Each update on its own, in order. */
  #applyEach(updates: readonly Update[], changes: Change[], core: ServerCore): void {
    let left = changes;
    for (const update of updates) {
      const isMerged = isMergedUpdate(update, core);
      const mine = this.#changesOf(update, left, updates.length === 1, isMerged);
      left = left.filter((change) => !mine.includes(change));
      this.maxDelay = Math.max(this.maxDelay, update.delay);
      this.#apply(mine, this.#version + 1, this.#amountOf(update), !isMerged);
    }
    if (left.length > 0)
      this.#violations.add('only pushes', `${nameOf((left[0] as Change).push)} is in no update`);
  }

  #changesOf(update: Update, changes: readonly Change[], isOnly: boolean, isMerged: boolean): Change[] {
    const workers = update.workers.map(this.#rules.numberOf);
    const candidates = changes.filter(({ worker }) => workers.includes(worker));
    if (isOnly) return candidates;
    if (isMerged) return candidates.filter(({ push }) => push.clock === update.clock);
    return candidates.slice(0, 1);
  }

  #amountOf({ workers, scaled, delay }: Update): number {
    const { model, factorOf } = this.#rules;
    return scaled ? model.unit * factorOf(delay) : model.unit / workers.length;
  }

  /** Several updates at once, whose order is not known: the versions between are unknown. */
  #applyAll(changes: readonly Change[], version: number): void {
    if (version === this.#version && changes.length === 0) return;
    this.#apply(changes, version, undefined, false);
  }

  #apply(changes: readonly Change[], version: number, amount: number | undefined, isDirect: boolean): void {
    const values = this.#values.slice();
    const { model } = this.#rules;
    for (const { at, amount: changed, push } of changes) {
      const isRight = amount === undefined ? this.#isPossible(changed) : changed === amount;
      if (!isRight)
        this.#violations.add('only pushes', `${nameOf(push)} counts ${changed} instead of ${amount}`);
      values[at] = (values[at] as number) + changed;
      this.#add(values, changed);
      this.#ledger.seen(push, version, isDirect);
      this.applied++;
    }
    for (let i = model.noiseAt; i < model.length; i++) values[i] = Number.NaN;
    this.#values = values;
    this.#version = version;
    this.#snapshots.set(version, values);
  }

  #add(values: Float32Array, amount: number): void {
    const { sharedAt, noiseAt } = this.#rules.model;
    for (let i = sharedAt; i < noiseAt; i++) values[i] = (values[i] as number) + amount;
  }

  #isPossible(amount: number): boolean {
    const { unit, sizes } = this.#rules.model;
    for (let workers = 1; workers <= sizes.workers; workers++) if (amount === unit / workers) return true;
    return amount > 0 && amount < unit;
  }

  /** The parameters are what the pushes make of them, and nothing else. */
  #checkSums(target: Float32Array): void {
    const { model } = this.#rules;
    for (let i = 0; i < model.noiseAt; i++) {
      if (target[i] === this.#values[i]) continue;
      const text = `element ${i} is ${target[i]} in version ${this.#version}, its pushes make ${this.#values[i]}`;
      this.#violations.add('sums are exact', text);
      return;
    }
  }
}

/** Whether an update is the merged ones of a clock. */
function isMergedUpdate({ clock }: Update, { state }: ServerCore): boolean {
  return state.model.name === 'bsp' && clock >= (state.policy.save()[0] ?? 0);
}

function orderOf(ledger: PushLedger, { worker, push }: Change): number {
  return ledger.of(worker).indexOf(push);
}
