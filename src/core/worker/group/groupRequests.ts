/**
 * What callers ask of a group, carried out by its members and put together again: pushes cut by shards, clocks that
 * have risen when all shards say so. It opens no connections.
 */
import { PsError } from '../../base/errors.js';
import { slicesOf } from '../../partition/slices.js';
import { OUTCOMES } from '../../protocol/messages.js';
import type { NonFinite } from '../../protocol/sessionMessages.js';
import type { DataRange } from '../../tasks/dataProgress.js';
import type { Catalogue, TableShape } from '../../tensor/catalogue.js';
import type {
  AskAnswer,
  AskCommand,
  ClockAnswer,
  ClockCommand,
  LeaseAnswer,
  LeaseCommand,
  PullAnswer,
  PullCommand,
  PushAnswer,
  PushCommand,
  RequestValue,
  ResultsCommand,
  ShardPushAnswer,
} from '../events.js';
import { isOwner, type MemberAnswer, verdictOfOthers } from './dataPush.js';
import { GradientCheck, type GradientKernels } from './gradientCheck.js';
import { GroupPlace, type Turn } from './groupPlace.js';
import { GroupPull } from './groupPull.js';
import { pullRowsOfGroup, type RowPullCommand } from './groupRowPull.js';
import { JointRequest } from './jointRequest.js';
import { type Member, type MemberCommand, type Members, shardIndexOf, unheard } from './members.js';
import { RowCuts } from './rowCuts.js';
import { VersionsOfShards } from './versionsOfShards.js';

/** A push as a member gets it. */
type PushMemberCommand = Omit<PushCommand, 'request'>;

/** The requests of one worker at a group. */
export class GroupRequests {
  readonly place: GroupPlace;
  readonly #members: Members;
  readonly #check: GradientCheck;
  readonly #isReadOnly: boolean;
  readonly #versions = new VersionsOfShards();
  /** What is under way, by the caller's number. */
  readonly #open = new Map<number, { cancel(error: PsError): void }>();

  constructor(members: Members, kernels: GradientKernels, isReadOnly: boolean) {
    this.#members = members;
    this.#check = new GradientCheck(kernels);
    this.#isReadOnly = isReadOnly;
    this.place = new GroupPlace(members);
  }

  /** Gives up `request`; false if it is not here. */
  cancel(request: number, error: PsError): boolean {
    if (this.place.cancel(request, error)) return true;
    const open = this.#open.get(request);
    open?.cancel(error);
    return open !== undefined;
  }

  pull(command: PullCommand, catalogue: Catalogue): void {
    const { request } = command;
    const handlers = {
      done: (answer: PullAnswer) => this.#settle(request, answer),
      failed: (error: PsError) => this.#fail(request, error),
    };
    const [members, versions] = [this.#members, this.#versions];
    const start = (): void => {
      if (isRowPull(command)) {
        this.#open.set(request, pullRowsOfGroup(command, members, catalogue, handlers));
        return;
      }
      const pull = new GroupPull(command, { members, catalogue, versions, ...handlers });
      this.#open.set(request, pull);
      pull.begin();
    };
    // Its turn comes when all shards are there.
    const { timeoutMs, countsOffline = true } = command;
    const deadline = countsOffline ? this.#members.now + timeoutMs : Number.POSITIVE_INFINITY;
    if (command.training && !this.#isReadOnly) this.#inTurn(request, true, start, { deadline });
    else start();
  }

  /** Checks the gradient, then sends each shard its part; those with nothing of it too. */
  push(command: PushCommand, catalogue: Catalogue, nonFinite: NonFinite): void {
    const { request, tensors, rows } = command;
    const { entries } = catalogue.select(tensors);
    const values = command.values.slice(0, entries.length);
    const ofRows = command.values.slice(entries.length);
    let normSquared: number;
    let cuts: RowCuts;
    try {
      normSquared = this.#check.normSquared(values, entries, nonFinite);
      for (const [i, { table }] of (rows ?? []).entries()) {
        const named = [catalogue.tables[table] as TableShape];
        normSquared = this.#check.normSquared(
          [ofRows[2 * i + 1] as Float32Array],
          named,
          nonFinite,
          normSquared,
        );
      }
      cuts = new RowCuts(rows, ofRows, catalogue.tables, this.#members.all.length);
    } catch (error) {
      this.#fail(request, error as PsError);
      return;
    }
    this.#inTurn(
      request,
      true,
      () => {
        const commandFor = (member: Member): PushMemberCommand => {
          const { core, server } = member;
          const slices = slicesOf(core.catalogue as Catalogue, entries, values);
          const cut = cuts.of(shardIndexOf(member));
          const computedFrom = command.computedFrom && [command.computedFrom[server]];
          return {
            ...command,
            values: [...slices, ...cut.values],
            rows: cut.rows,
            normSquared,
            computedFrom,
          };
        };
        if (command.data !== undefined) this.#pushData(request, commandFor, command.data);
        else this.#askAll<PushAnswer>(request, commandFor, (answers) => mergedPush(answers));
      },
      { ticks: command.tick },
    );
  }

  /** What comes behind it waits until the owner has been asked, so that each shard sees the same order. */
  #pushData(request: number, commandFor: (member: Member) => PushMemberCommand, range: DataRange): void {
    const owner = this.#members.all.find(isOwner) as Member;
    const others = this.#members.all.filter((member) => member !== owner);
    this.place.hold();
    const failed = (error: PsError): void => {
      this.place.resume();
      this.#fail(request, error);
    };
    const done = (answers: readonly MemberAnswer<PushAnswer>[]): void => {
      const verdict = verdictOfOthers(answers, range);
      const push = commandFor(owner);
      const end = (progress: number | undefined, said = answers): void => {
        if (verdict instanceof PsError) this.#fail(request, verdict);
        else this.#settle(request, { ...mergedPush(said), progress });
      };
      if (verdict === 'counted') {
        this.#askOwner<PushAnswer>(request, push, failed, (own) =>
          end(own.value.progress, [...answers, own]),
        );
      } else {
        const progress = verdict === 'again' ? range.from : undefined;
        const tick = { kind: 'clock', operation: 'tick' } as const;
        if (push.tick) this.#askOwner<ClockAnswer>(request, tick, failed, () => end(progress));
        else end(progress);
      }
      this.place.resume();
    };
    const first = new JointRequest<PushAnswer>(this.#members, false, { done, failed });
    this.#open.set(request, first);
    first.ask(others, commandFor);
  }

  /** Asks the shard that has the queue. */
  ofOwner(command: LeaseCommand | ResultsCommand): void {
    const { request } = command;
    const failed = (error: PsError): void => this.#fail(request, error);
    this.#askOwner<LeaseAnswer | undefined>(request, command, failed, ({ value }) =>
      this.#settle(request, value),
    );
  }

  #askOwner<T extends RequestValue>(
    request: number,
    command: MemberCommand,
    failed: (error: PsError) => void,
    then: (answer: MemberAnswer<T>) => void,
  ): void {
    const done = ([answer]: readonly MemberAnswer<T>[]): void => then(answer as MemberAnswer<T>);
    const joint = new JointRequest<T>(this.#members, false, { done, failed });
    this.#open.set(request, joint);
    joint.ask(this.#members.all.filter(isOwner), () => command);
  }

  /** The owner of the queue has taken the worker out of its clock table, since it waits for a data shard. */
  waitsForData(): void {
    this.place.left();
    for (const member of this.#members.all) {
      if (!isOwner(member)) this.#members.ask(member, { kind: 'clock', operation: 'leave' }, unheard);
    }
  }

  clock(command: ClockCommand): void {
    const { request, operation } = command;
    this.#inTurn(
      request,
      operation !== 'leave',
      () => {
        if (operation === 'leave') this.place.left();
        // It has its place: there is nothing to ask.
        if (operation === 'enter') this.#settle(request, this.#clocks());
        else this.#askAll<ClockAnswer>(request, () => ({ kind: 'clock', operation }), mergedClock);
      },
      { ticks: operation === 'tick' },
    );
  }

  /**
   * Asks every shard the same; for counts, those that are there, if any is: the others have nothing to say. What has
   * changed in a table, one of them.
   */
  ask(command: AskCommand): void {
    const { request, action, watch, server = 0 } = command;
    if (watch !== undefined) {
      const asked = [this.#members.all[server] as Member];
      this.#askAll<AskAnswer>(
        request,
        () => command,
        ([answer]) => answer?.value,
        false,
        asked,
      );
      return;
    }
    const present = this.#members.all.filter(({ core }) => core.isOpen);
    const asked = action !== undefined || present.length === 0 ? this.#members.all : present;
    this.#askAll<AskAnswer>(request, () => command, mergedAsk, false, asked);
  }

  /** The same of every member, with nothing to put together. `failsAtOnce`: see `JointRequest`. */
  ofAll(request: number, failsAtOnce: boolean, command: MemberCommand): JointRequest<undefined> {
    return this.#askAll<undefined>(
      request,
      () => command,
      () => undefined,
      failsAtOnce,
    );
  }

  #inTurn(
    request: number,
    trains: boolean,
    go: () => void,
    more: Pick<Turn, 'ticks' | 'deadline'> = {},
  ): void {
    this.place.take({ request, trains, ...more, go, fail: (error) => this.#fail(request, error) });
  }

  #askAll<T extends RequestValue>(
    request: number,
    command: (member: Member) => MemberCommand,
    merge: (answers: readonly { readonly member: Member; readonly value: T }[]) => RequestValue,
    failsAtOnce = false,
    asked: readonly Member[] = this.#members.all,
  ): JointRequest<T> {
    const joint = new JointRequest<T>(this.#members, failsAtOnce, {
      done: (answers) => this.#settle(request, merge(answers)),
      failed: (error) => {
        // A tick may have reached some shards and not others.
        this.place.disturbed();
        this.#fail(request, error);
      },
    });
    this.#open.set(request, joint);
    joint.ask([...asked], command);
    return joint;
  }

  #clocks(): ClockAnswer {
    const cores = this.#members.all.map(({ core }) => core);
    return {
      clock: Math.min(...cores.map(({ clock }) => clock)),
      minClock: Math.min(...cores.map(({ minClock }) => minClock)),
    };
  }

  #settle(request: number, value: RequestValue): void {
    this.#open.delete(request);
    this.#members.add({ kind: 'settle', request, value });
  }

  #fail(request: number, error: PsError): void {
    this.#open.delete(request);
    this.#members.add({ kind: 'fail', request, error });
  }
}

function isRowPull(command: PullCommand): command is RowPullCommand {
  return command.rows !== undefined;
}

/** The lowest version, the worst outcome, and what each shard said, in their order. */
function mergedPush(answers: readonly { readonly member: Member; readonly value: PushAnswer }[]): PushAnswer {
  const shards = answers
    .map(({ member, value }): ShardPushAnswer => {
      const { outcome, duplicate, version, delay } = value;
      return { shard: shardIndexOf(member), outcome, duplicate, version, delay };
    })
    .sort((a, b) => a.shard - b.shard);
  const worst = Math.max(...shards.map(({ outcome }) => OUTCOMES.indexOf(outcome)));
  return {
    outcome: OUTCOMES[worst] as PushAnswer['outcome'],
    duplicate: shards.some(({ duplicate }) => duplicate),
    version: Math.min(...shards.map(({ version }) => version)),
    delay: Math.max(...shards.map(({ delay }) => delay)),
    ...mergedClock(answers),
    shards,
  };
}

/**
 * The answer of the first shard, and in `shards`, if it is an object, those of all, in the order of shards, each with
 * the position of its url as `server`.
 */
function mergedAsk(answers: readonly { readonly member: Member; readonly value: AskAnswer }[]): AskAnswer {
  const ordered = [...answers].sort((a, b) => shardIndexOf(a.member) - shardIndexOf(b.member));
  const texts = ordered.map(({ value }) => new TextDecoder().decode(value.bytes));
  const first = texts[0] as string;
  if (!texts.every((text) => text.endsWith('}'))) return { bytes: new TextEncoder().encode(first) };
  const shards = texts.map((text, i) => withField(text, `"server":${ordered[i]?.member.server}`));
  return { bytes: new TextEncoder().encode(withField(first, `"shards":[${shards.join()}]`)) };
}

/** The JSON object `text` with one more field. */
function withField(text: string, field: string): string {
  const fields = text.slice(0, -1);
  return `${fields}${fields === '{' ? '' : ','}${field}}`;
}

function mergedClock(answers: readonly { readonly value: ClockAnswer }[]): ClockAnswer {
  return {
    clock: Math.min(...answers.map(({ value }) => value.clock)),
    minClock: Math.min(...answers.map(({ value }) => value.minClock)),
  };
}
