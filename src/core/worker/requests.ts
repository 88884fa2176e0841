/**
 * The requests in flight of one worker at one server, from the caller's command to its end: what
 * `Sender` sends and `Answers` ends, and what ends them otherwise (given up, out of time, rolled
 * back). A lost connection only makes them unsent again; a push keeps its sequence number.
 */
import type { PsError } from '../base/errors.js';
import { MessageType } from '../protocol/messages.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { Catalogue, TableShape } from '../tensor/catalogue.js';
import { Answers } from './answers.js';
import { AskOperation } from './askOperation.js';
import { ClockOperation } from './clockOperation.js';
import { ComputedFrom } from './computedFrom.js';
import type { Effects } from './effects.js';
import type {
  AskCommand,
  ClockCommand,
  LeaseCommand,
  PullCommand,
  PushCommand,
  ResultsCommand,
} from './events.js';
import { closedError, outcomeUnknown } from './faults.js';
import { LeaseOperation } from './leaseOperation.js';
import { Operations } from './operations.js';
import { PulledVersions } from './pulledVersions.js';
import { PullOperation } from './pullOperation.js';
import { PushOperation } from './pushOperation.js';
import { ResultsOperation } from './resultsOperation.js';
import { Sender, type UnansweredLimits } from './sender.js';
import { TaskAnswers } from './taskAnswers.js';
import type { TrainingClock } from './trainingClock.js';

/** Everything that a worker has asked for and not been answered. */
export class Requests {
  readonly sender: Sender;
  readonly answers: Answers;
  readonly tasks: TaskAnswers;
  readonly #effects: Effects;
  readonly #operations = new Operations();
  readonly #versions = new PulledVersions();
  readonly #clock: TrainingClock;
  readonly #pulled = new ComputedFrom();

  constructor(effects: Effects, clock: TrainingClock, limits: UnansweredLimits, isReadOnly: boolean) {
    const [operations, versions] = [this.#operations, this.#versions];
    this.#effects = effects;
    this.#clock = clock;
    this.sender = new Sender({ effects, operations, clock, versions, limits, isReadOnly });
    const onPulled = (stamp: VersionStamp, isOfRows: boolean) => this.#pulled.add(stamp, isOfRows);
    this.answers = new Answers({ effects, operations, clock, versions, sender: this.sender, onPulled });
    this.tasks = new TaskAnswers(effects, operations);
  }

  addPull(command: PullCommand, catalogue: Catalogue, now: number): void {
    const { rows, tensors } = command;
    const entries =
      rows === undefined
        ? catalogue.select(tensors).entries
        : [{ length: (rows.words.length / 2) * (catalogue.tables[rows.table] as TableShape).dim }];
    this.#operations.add(new PullOperation(command, entries, now));
  }

  addPush(command: PushCommand): void {
    // Of a gradient that has nothing here, nothing of this server's was used.
    const isElsewhere =
      command.normSquared !== undefined && command.values.every(({ length }) => length === 0);
    const from = command.computedFrom?.[0] ?? this.#pulled.oldest();
    this.#pulled.used();
    this.#operations.add(new PushOperation(command, isElsewhere ? undefined : from));
  }

  addClock(command: ClockCommand): void {
    this.#operations.add(new ClockOperation(command.operation, command.request, command.clock));
  }

  /** The clock once all that was asked for is done. */
  get clockWhenDone(): number {
    let clock = this.#clock.aimed;
    for (const each of this.#operations) {
      if (each.kind === 'push' && each.command.tick && each.assignment === undefined) clock++;
      if (each.kind !== 'clock') continue;
      if (each.operation === 'tick' && each.target === undefined) clock++;
      clock = Math.max(clock, each.atLeast ?? 0);
    }
    return clock;
  }

  /** Whether the worker is in the clock table once all that was asked for is done. */
  get isInTable(): boolean {
    let isIn = this.sender.isInTable;
    for (const each of this.#operations) {
      if (each.isSent) continue;
      if (each.kind === 'clock') isIn = each.operation !== 'leave';
      else if (each.kind === 'push' || (each.kind === 'pull' && each.command.training)) isIn = true;
    }
    return isIn;
  }

  addAsk(command: AskCommand): void {
    this.#operations.add(new AskOperation(command));
  }

  addLease(command: LeaseCommand): void {
    this.#operations.add(new LeaseOperation(command));
  }

  addResults(command: ResultsCommand): void {
    this.#operations.add(new ResultsOperation(command));
  }

  /** The connection is lost. Whether a Control that was sent on it was carried out, nobody knows. */
  suspend(): void {
    const unknown = this.#operations.removeAll(
      (each) => each.kind === 'ask' && each.isSent && each.changesServer,
    );
    this.sender.suspend();
    const why = 'the connection was lost';
    for (const { request } of unknown)
      this.#effects.fail(request, outcomeUnknown('this control was carried out', why));
  }

  /** Gives up `request`, at once or as soon as the caller's arrays are free; false if it is not here. */
  cancel(request: number, error: PsError): boolean {
    const operation = this.#operations.withRequest(request);
    if (operation === undefined) return false;
    if (operation.kind === 'push' && operation === this.sender.leaving) {
      // The system still reads the caller's arrays; when it has, this ends.
      operation.givenUp = error;
      return true;
    }
    const isWatch = operation.kind === 'ask' && operation.command.watch !== undefined;
    if (operation.kind === 'pull' || operation.kind === 'lease' || isWatch) this.#forget(operation);
    // The server may know of it: it has to be carried through, unheard.
    else if (operation.wasSent) operation.detach();
    else this.#operations.remove(operation);
    this.#effects.fail(request, error);
    return true;
  }

  #forget(pull: PullOperation | LeaseOperation | AskOperation): void {
    this.#operations.remove(pull);
    if (!pull.isSent) return;
    // The caller's arrays are the caller's again, even if a chunk for them is half here.
    this.#effects.add({ kind: 'displace' });
    this.#effects.send({ t: MessageType.cancel, request: pull.wire });
  }

  /** The earliest deadline of a pull. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const each of this.#operations) if (each.kind === 'pull') next = Math.min(next, each.deadline);
    return next;
  }

  /** Gives up the pulls whose deadline has passed. `unreachable`: why there is no connection. */
  expire(now: number, unreachable: string | undefined): void {
    for (const each of [...this.#operations]) {
      if (each.kind !== 'pull' || each.deadline > now) continue;
      this.#forget(each);
      this.#effects.fail(each.request, each.timeoutError(now, unreachable));
    }
  }

  /**
   * The server's state is older than what it answered. Every push fails with `PS_OUTCOME_UNKNOWN`;
   * ticks and pulls will be asked anew from the server's clock. Returns how many pushes failed.
   */
  rollback(committedSeq: number): number {
    const pushes = this.#operations.removeAll((each) => each.kind === 'push');
    for (const each of pushes) {
      this.#effects.fail(
        each.request,
        outcomeUnknown('this push was applied', 'the server went back to an older state'),
      );
    }
    for (const each of this.#operations) each.forgetClock();
    this.sender.restart(committedSeq);
    this.answers.restart(committedSeq);
    this.#pulled.clear();
    return pushes.length;
  }

  /** Every request fails: pushes with `PS_OUTCOME_UNKNOWN`, all others with what has ended the worker, `cause` if given. */
  failAll(cause: PsError | undefined): void {
    const all = this.#operations.removeAll();
    if (all.length === 0) return;
    const error = closedError(cause);
    for (const each of all) {
      const isPush = each.kind === 'push';
      this.#effects.fail(
        each.request,
        isPush ? outcomeUnknown('this push was applied', error.message, error) : error,
      );
    }
  }
}
