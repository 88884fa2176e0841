/**
 * The worker's place in the clock tables of all shards: in all of them at one clock, or in none. Each shard has a
 * table of its own and lets the worker in at the clock that it finds right; the highest counts, and the others are
 * told of it. What trains waits until that is done.
 *
 *     out ──the first that trains──▶ entering ──all agree──▶ in ──leave──▶ out
 *
 * While a shard is lost for long the worker is apart: out of the tables of all, and what trains waits. A shard that evicted the worker lets it in again further on, one that went back to an older state further back:
 * the shards are brought to agree again.
 */
import { PsError } from '../../base/errors.js';
import type { ClockAnswer } from '../events.js';
import { JointRequest } from './jointRequest.js';
import { type Member, type MemberCommand, type Members, unheard } from './members.js';

/** Something that is done in its turn. */
export interface Turn {
  readonly request: number;
  /** It must be in the clock tables. */
  readonly trains: boolean;
  /** It raises the clock by 1. */
  readonly ticks?: boolean;
  /** When it is given up if its turn has not come. Default: never. */
  readonly deadline?: number;
  go(): void;
  fail(error: PsError): void;
}

/** One worker's place. */
export class GroupPlace {
  readonly #members: Members;
  #state: 'out' | 'entering' | 'in' = 'out';
  readonly #turns: Turn[] = [];
  #isTakingTurns = false;
  #isApart = false;
  /** It was apart while it entered. */
  #mustEnterAgain = false;
  #hasEntered = false;
  #isHeld = false;
  #mayDiffer = false;
  #highest = 0;

  constructor(members: Members) {
    this.#members = members;
  }

  /** Does `turn`, after those before it, once the worker has its place. */
  take(turn: Turn): void {
    this.#turns.push(turn);
    this.#takeTurns();
  }

  /** Gives up the turn of `request`; false if there is none. */
  cancel(request: number, error: PsError): boolean {
    const at = this.#turns.findIndex((turn) => turn.request === request);
    if (at < 0) return false;
    for (const turn of this.#turns.splice(at, 1)) turn.fail(error);
    return true;
  }

  /** When `expire` has something to do. */
  get dueAt(): number {
    return this.#turns.reduce((at, { deadline = Infinity }) => Math.min(at, deadline), Infinity);
  }

  /** Gives up the turns whose deadline has passed; `why` they had to wait. */
  expire(now: number, why: string): void {
    for (const turn of this.#turns.filter(({ deadline = Infinity }) => deadline <= now)) {
      this.cancel(
        turn.request,
        new PsError('PS_PULL_TIMEOUT', `a pull waited too long for its turn: ${why}`),
      );
    }
  }

  /** A shard has been lost for long: the others are not to wait for this worker. */
  stepOut(): void {
    this.#isApart = true;
    if (this.#state === 'entering') this.#mustEnterAgain = true;
    else this.#state = 'out';
    for (const member of this.#members.all) this.leaveAgain(member);
  }

  /** What was asked of `member` before may have made it enter once more. */
  leaveAgain(member: Member): void {
    if (!this.#isApart || !this.#hasEntered) return;
    this.#members.ask(member, { kind: 'clock', operation: 'leave' }, unheard);
  }

  /** All shards are there: what trains may go on. */
  rejoin(): void {
    if (!this.#isApart) return;
    this.#isApart = false;
    this.#takeTurns();
  }

  /** Whether it has its place in the tables of all. */
  get isIn(): boolean {
    return this.#state === 'in' && !this.#isApart;
  }

  /** Ticks that wait for their turn. */
  get waitingTicks(): number {
    return this.#turns.filter(({ ticks }) => ticks === true).length;
  }

  get isApart(): boolean {
    return this.#isApart;
  }

  /** The worker has ended. */
  failAll(error: PsError): void {
    for (const turn of this.#turns.splice(0)) turn.fail(error);
  }

  /** No turn is taken, and the shards need not agree, until `resume`. */
  hold(): void {
    this.#isHeld = true;
  }

  resume(): void {
    this.#isHeld = false;
    this.#mayDiffer = true;
    this.#takeTurns();
  }

  /** The worker gives its place up. */
  left(): void {
    this.#state = 'out';
  }

  /** Something happened after which the shards may have different clocks of this worker. */
  disturbed(): void {
    this.#mayDiffer = true;
  }

  /** Brings the shards to agree, if they don't: to be called after each event. */
  align(): void {
    if (this.#state !== 'in' || this.#isHeld) return;
    let highest = 0;
    for (const { core } of this.#members.all) highest = Math.max(highest, core.clock);
    if (highest === this.#highest && !this.#mayDiffer) return;
    this.#highest = highest;
    this.#mayDiffer = false;
    // Ticks that are under way count: each of them goes to every shard.
    const due = this.#members.all.map(({ core }) => core.clockWhenDone);
    const clock = Math.max(...due);
    for (const [i, member] of this.#members.all.entries()) {
      if ((due[i] as number) < clock) this.#members.ask(member, enter(clock), unheard);
    }
  }

  #takeTurns(): void {
    if (this.#isTakingTurns) return;
    this.#isTakingTurns = true;
    while (this.#state !== 'entering' && !this.#isHeld) {
      const turn = this.#turns[0];
      if (turn === undefined || (turn.trains && this.#isApart)) break;
      if (turn.trains && this.#state === 'out') {
        this.#enter();
        continue;
      }
      this.#turns.shift();
      turn.go();
    }
    this.#isTakingTurns = false;
  }

  #enter(): void {
    this.#state = 'entering';
    this.#hasEntered = true;
    this.#ask(this.#members.all, 0, (answers) => {
      const clock = Math.max(...answers.map(({ value }) => value.clock));
      const behind = answers.filter(({ value }) => value.clock < clock).map(({ member }) => member);
      this.#ask(behind, clock, () => this.#entered());
    });
  }

  #ask(
    members: readonly Member[],
    clock: number,
    done: (answers: readonly { readonly member: Member; readonly value: ClockAnswer }[]) => void,
  ): void {
    const failed = (error: PsError): void => {
      this.#state = 'out';
      this.#mustEnterAgain = false;
      this.failAll(error);
    };
    new JointRequest<ClockAnswer>(this.#members, false, { done, failed }).ask(members, () => enter(clock));
  }

  #entered(): void {
    this.#state = this.#mustEnterAgain ? 'out' : 'in';
    this.#mustEnterAgain = false;
    this.#mayDiffer = true;
    this.#takeTurns();
  }
}

function enter(clock: number): MemberCommand {
  return { kind: 'clock', operation: 'enter', clock: clock === 0 ? undefined : clock };
}
