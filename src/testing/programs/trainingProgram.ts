/**
 * What a simulated worker process does: it connects, and takes steps (pull, compute, push, tick) up to a
 * clock; between two runs it may pause outside the clock table; at the end it leaves. What is computed and
 * how long that takes says its owner. It survives what `Worker.run` survives.
 *
 *     connect ──▶ pull ──▶ compute ──▶ push, tick ──▶ pull …        (the clock is reached) ──▶ leave ──▶ end
 */
import { PsError } from '../../core/base/errors.js';
import type { RowCount } from '../../core/tensor/rowLayout.js';
import type {
  ClockAnswer,
  PullAnswer,
  PullCommand,
  PulledFrom,
  PushAnswer,
} from '../../core/worker/events.js';
import type { Command, Ended, SimWorker } from '../cluster/simWorker.js';

/**
 * How the requests of a step follow each other: all at once and the tick on the push, as `Worker.run` does;
 * the same with a tick of its own; or each when the one before has ended.
 */
export type StepStyle = 'run' | 'ticking' | 'apart';

/** What one step computes. */
export interface ComputedStep {
  readonly computeMs: number;
  /** The computation blocks the process: nothing is received or sent meanwhile. */
  readonly isBlocking: boolean;
  /** Bound that is announced before the computation; undefined: nothing is announced. */
  readonly announcedMs: number | undefined;
}

/** One push of a step. */
export interface PushContent {
  readonly tensors: readonly number[] | undefined;
  readonly values: readonly Float32Array[];
  /** Rows of tables, whose ids and values stand behind the tensors'. */
  readonly rows?: readonly RowCount[];
  /** What it was computed from; undefined: from the last pulls. */
  readonly computedFrom?: PulledFrom;
}

/** Rows that a step needs beside the tensors. */
export interface RowsAsked {
  readonly table: number;
  readonly words: Uint32Array;
  onPulled(answer: PullAnswer): void;
}

/** A push on its way. */
export interface MadePush {
  readonly content: PushContent;
  onEnded(ended: Ended<PushAnswer>): void;
}

/** What a program is told to do, and who is told what it did. */
export interface ProgramOwner {
  readonly style: StepStyle;
  /** The program ends at this clock. */
  readonly untilClock: number;
  /** Bound of each pull, in milliseconds. */
  readonly pullTimeoutMs: number;
  /** Whether the process says goodbye at the end, or stays connected. */
  readonly saysGoodbye: boolean;
  /** How long to pause outside the clock table before the step at `clock`; 0: not. */
  pauseMs(clock: number): number;
  /** When a pull is given up and asked again; undefined: it is not. */
  impatienceMs(): number | undefined;
  /** Which tensors to pull for the next step; undefined: all. */
  pulls(): readonly number[] | undefined;
  /** Which rows to pull for it, with the tensors; undefined: none. */
  rows?(): RowsAsked | undefined;
  onPullAsked(): void;
  onPulled(answer: PullAnswer, tensors: readonly number[] | undefined): ComputedStep;
  /** How many pushes the step at `clock` makes. */
  pushes(clock: number): number;
  /** The next push, which is made now. */
  push(clock: number): MadePush;
  /** The program is over: it reached its clock (undefined), or can't go on. */
  onEnd(error: PsError | undefined): void;
}

/** A training loop in one process. */
export class TrainingProgram {
  readonly #worker: SimWorker;
  readonly #owner: ProgramOwner;
  #pausedAt = -1;
  #isOver = false;

  constructor(worker: SimWorker, owner: ProgramOwner) {
    this.#worker = worker;
    this.#owner = owner;
  }

  /** Begins. */
  start(): void {
    this.#worker.call({ kind: 'connect' }, ({ error }) => {
      if (error === undefined) this.#next();
      else if (error.retryable) this.start();
      else this.#end(error);
    });
  }

  #next(): void {
    const { clock } = this.#worker.core;
    if (clock >= this.#owner.untilClock) {
      this.#leave(() => this.#finish());
      return;
    }
    const pauseMs = this.#pausedAt === clock ? 0 : this.#owner.pauseMs(clock);
    if (pauseMs === 0) {
      this.#pull();
      return;
    }
    this.#pausedAt = clock;
    this.#leave(() => this.#worker.process.after(pauseMs, () => this.#next()));
  }

  #pull(): void {
    const tensors = this.#owner.pulls();
    const impatienceMs = this.#owner.impatienceMs();
    this.#owner.onPullAsked();
    const rows = this.#owner.rows?.();
    const open = new Set<number>();
    let computed: ComputedStep | undefined;
    let hasFailed = false;
    const onEnded = (number: () => number, use: (answer: PullAnswer) => void) => (ended: Ended) => {
      open.delete(number());
      if (ended.error === undefined) use(ended.value as PullAnswer);
      else if (!hasFailed) {
        hasFailed = true;
        this.#onPullFailed(ended.error);
      }
      if (!hasFailed && open.size === 0) this.#compute(computed as ComputedStep);
    };
    const ask = (asked: Pick<PullCommand, 'tensors' | 'rows'>, use: (answer: PullAnswer) => void): void => {
      const request = this.#worker.call(
        this.#pullOf(asked),
        onEnded(() => request, use),
      );
      open.add(request);
    };
    ask({ tensors }, (answer) => {
      computed = this.#owner.onPulled(answer, tensors);
    });
    if (rows !== undefined) ask({ tensors: undefined, rows }, (answer) => rows.onPulled(answer));
    if (impatienceMs === undefined) return;
    this.#worker.process.after(impatienceMs, () => {
      for (const request of open) this.#worker.cancel(request, new PsError('PS_ABORTED', 'given up'));
    });
  }

  #pullOf(asked: Pick<PullCommand, 'tensors' | 'rows'>): Command {
    return {
      kind: 'pull',
      ...asked,
      into: undefined,
      training: true,
      ifNewerThan: undefined,
      wait: false,
      consistent: true,
      timeoutMs: this.#owner.pullTimeoutMs,
    };
  }

  #onPullFailed(error: PsError): void {
    const isPassing = error.code === 'PS_PULL_TIMEOUT' || error.code === 'PS_ABORTED';
    if (isPassing && !this.#worker.core.hasEnded) this.#next();
    else this.#end(error);
  }

  #compute({ computeMs, isBlocking, announcedMs }: ComputedStep): void {
    const { process } = this.#worker;
    const begin = (): void => {
      if (isBlocking) process.block(computeMs, () => this.#push());
      else process.after(computeMs, () => this.#push());
    };
    if (announcedMs === undefined) begin();
    else this.#worker.call({ kind: 'computing', stepMs: announcedMs }, begin);
  }

  #push(): void {
    const { core } = this.#worker;
    const { style, untilClock } = this.#owner;
    // A step that used a cache need not have waited for the tick before it.
    const { clockWhenDone: clock } = core;
    const count = this.#owner.pushes(clock);
    const tick: Command = { kind: 'clock', operation: 'tick' };
    if (style === 'apart') {
      this.#pushApart(clock, count, () => this.#request(tick, () => this.#next()));
      return;
    }
    const isTicked = style === 'run' && count > 0;
    const isPullNext = clock + 1 < untilClock && this.#owner.pauseMs(clock + 1) === 0;
    for (let left = count; left > 0; left--) {
      const { content, onEnded } = this.#owner.push(clock);
      const isLast = left === 1 && isTicked;
      this.#worker.call(this.#commandOf(content, isLast), (ended) => {
        onEnded(ended as Ended<PushAnswer>);
        if (!isLast || isPullNext) return;
        if (core.hasEnded) this.#end(ended.error);
        else this.#next();
      });
    }
    if (!isTicked) this.#request(tick, () => (isPullNext ? undefined : this.#next()));
    if (isPullNext) this.#pull();
  }

  #pushApart(clock: number, left: number, then: () => void): void {
    if (left === 0) {
      then();
      return;
    }
    const { content, onEnded } = this.#owner.push(clock);
    this.#worker.call(this.#commandOf(content, false), (ended) => {
      onEnded(ended as Ended<PushAnswer>);
      if (!this.#worker.core.hasEnded) this.#pushApart(clock, left - 1, then);
      else this.#end(ended.error);
    });
  }

  #commandOf({ tensors, values, rows, computedFrom }: PushContent, tick: boolean): Command {
    return {
      kind: 'push',
      tensors,
      values,
      rows,
      computedFrom,
      tick,
      metrics: undefined,
      examples: undefined,
    };
  }

  #request(command: Command, then: (answer: ClockAnswer) => void): void {
    this.#worker.call(command, ({ value, error }) => {
      if (error === undefined) then(value as ClockAnswer);
      else this.#end(error);
    });
  }

  #leave(then: () => void): void {
    this.#request({ kind: 'clock', operation: 'leave' }, then);
  }

  #finish(): void {
    if (!this.#owner.saysGoodbye) {
      this.#end(undefined);
      return;
    }
    this.#worker.call({ kind: 'close', reason: 'done' }, () => this.#end(undefined));
  }

  #end(error: PsError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.onEnd(error);
  }
}
