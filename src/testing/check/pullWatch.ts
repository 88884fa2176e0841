/**
 * Every pull from the server's side: whether it was answered when it might be, with a version that holds
 * what it must, and whether one waits that need not. The rules are written down here again, from
 * `semantics.md`, and not taken from the policies that are tested.
 */
import type { Consistency } from '../../core/consistency/consistency.js';
import { MessageType, type Pull } from '../../core/protocol/messages.js';
import type { PullRows } from '../../core/protocol/rowMessages.js';
import type { ServerEffect } from '../../core/server/events.js';
import { PullStream } from '../../core/server/pullStream.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { ServerState } from '../../core/server/state.js';
import { type LoggedPush, nameOf, type PushLedger } from './pushLedger.js';
import type { Violations } from './violations.js';

/** A pull that the server has and has not answered. */
interface Asked {
  readonly connection: number;
  readonly worker: string;
  readonly message: Pull | PullRows;
}

/** What the checks of pulls need to know of a run. */
export interface PullRules {
  readonly numberOf: (id: string) => number | undefined;
  readonly minWorkers: number;
  readonly pinnedVersions: number;
  /** The consistency model is one and the same all the time. */
  readonly isSteady: boolean;
  /** Clocks close without the slowest, who are moved up and may have a push under way. */
  readonly movesUp: boolean;
  /** No push is ever too late. */
  readonly neverDrops: boolean;
}

/** Watches the pulls of one run. */
export class PullWatch {
  readonly #rules: PullRules;
  readonly #ledger: PushLedger;
  readonly #violations: Violations;
  readonly #asked = new Map<number, Asked>();
  /** Connections that the server has closed: what still comes over them it does not read. */
  readonly #ended = new Set<number>();
  #model: Consistency | undefined;
  /** Training pulls answered, and how many at each lead. */
  answered = 0;
  readonly leads: number[] = [];

  constructor(rules: PullRules, ledger: PushLedger, violations: Violations) {
    this.#rules = rules;
    this.#ledger = ledger;
    this.#violations = violations;
  }

  started({ state }: ServerCore): void {
    this.#asked.clear();
    this.#model = state.model;
  }

  /** The server takes a pull. */
  receives(connection: number, worker: string, message: Pull | PullRows): void {
    if (this.#ended.has(connection)) return;
    this.#asked.set(keyOf(connection, message.request), { connection, worker, message });
  }

  cancelled(connection: number, request: number): void {
    this.#asked.delete(keyOf(connection, request));
  }

  closed(connection: number): void {
    for (const [key, asked] of this.#asked) if (asked.connection === connection) this.#asked.delete(key);
  }

  /** The server has taken a turn. */
  stepped(core: ServerCore, effects: readonly ServerEffect[]): void {
    const { state } = core;
    const isSwitched = state.model !== this.#model;
    this.#model = state.model;
    for (const effect of effects) {
      if (effect.kind === 'stream' && effect.stream instanceof PullStream) {
        this.#onAnswer(state, effect.connection, effect.stream, isSwitched);
      } else if (effect.kind === 'send') {
        const { message } = effect;
        const isEnd = message.t === MessageType.pullResult || message.t === MessageType.fault;
        if (isEnd && message.request !== undefined) this.cancelled(effect.connection, message.request);
      } else if (effect.kind === 'close') {
        this.#ended.add(effect.connection);
        this.closed(effect.connection);
      }
    }
    for (const asked of this.#asked.values()) this.#checkWaiting(state, asked);
  }

  #onAnswer(state: ServerState, connection: number, stream: PullStream, isSwitched: boolean): void {
    const { request, clock: sessionClock, pin, minClock } = stream.answer;
    const asked = this.#asked.get(keyOf(connection, request));
    this.cancelled(connection, request);
    if (asked === undefined) {
      this.#violations.add('answers', `the server answers request ${request} that nobody waits for`);
      return;
    }
    if (!asked.message.training) return;
    const clock = Math.max(asked.message.clock, sessionClock);
    const lead = clock - minClock;
    this.answered++;
    this.leads[lead] = (this.leads[lead] ?? 0) + 1;
    if (isSwitched) return;
    if (!this.#mayBeAnswered(state, clock)) {
      const text = `${asked.worker} at clock ${clock} is answered while minClock is ${minClockOf(state)}`;
      this.#violations.add('staleness bound', text);
    }
    if (pin !== undefined) this.#checkContent(state, asked, clock, pin.version);
  }

  /** The bound, from the clocks in the table themselves. */
  #mayBeAnswered(state: ServerState, clock: number): boolean {
    const { model } = state;
    const minClock = minClockOf(state);
    if (model.name === 'asp') return true;
    if (model.name === 'ssp') return clock <= minClock + model.staleness;
    if (model.backupWorkers > 0) return true;
    return clock <= minClock;
  }

  /** What a training pull at `clock` that is answered with `version` must hold. */
  #checkContent(state: ServerState, { worker, message }: Asked, clock: number, version: number): void {
    const own = this.#rules.numberOf(worker);
    if (own === undefined) return;
    const { model } = state;
    for (let w = 0; w < this.#ledger.absences.length; w++) {
      const pushes = this.#ledger.of(w);
      for (let i = pushes.length - 1; i >= 0; i--) {
        const push = pushes[i] as LoggedPush;
        if (push.history !== this.#ledger.history) break;
        const isIn = push.appliedAt !== undefined && push.appliedAt <= version;
        // Those before it were applied before it.
        if (isIn && model.name !== 'bsp') break;
        if (!isIn && this.isDue(push, w === own, { clock, asked: message.clock }, model)) {
          this.#violations.add(
            'older updates are seen',
            `${worker} at clock ${clock} gets version ${version} without ${nameOf(push)}`,
          );
          return;
        }
        if (isIn && this.#isTooNew(push, clock, model)) {
          this.#violations.add(
            'BSP sees its clocks alone',
            `${worker} at clock ${clock} sees ${nameOf(push)}`,
          );
          return;
        }
        if (push.clock < clock - 8) break;
      }
    }
  }

  /** Whether a pull at `clock`, which its worker took for `asked`, must see `push`. */
  isDue(
    push: LoggedPush,
    isOwn: boolean,
    { clock, asked }: { readonly clock: number; readonly asked: number },
    model: ServerState['model'],
  ): boolean {
    const { told } = push;
    if (push.isLost || push.isDropped || told === 'dropped' || told === 'refused' || told === 'unknown')
      return false;
    if (this.#rules.movesUp && told === undefined) return false;
    // Not of a process that was replaced.
    if (push.process !== this.#ledger.admitted[push.worker]) return false;
    // Its own pushes are before the pull, whatever happened since.
    if (isOwn && this.#rules.neverDrops && model.name !== 'bsp') return push.clock < asked;
    // A worker that is or was out of the table since may be late with it.
    if (this.#ledger.isIn[push.worker] === false) return false;
    if (push.absences !== this.#ledger.absences[push.worker]) return false;
    // Made when it did not know yet that it had come back at a later clock.
    if (push.clock < (this.#ledger.entryClocks[push.worker] as number)) return false;
    if (model.name === 'bsp') return model.backupWorkers === 0 && push.clock < clock;
    if (isOwn) return push.clock < asked;
    return model.name === 'ssp' && push.clock <= clock - model.staleness - 1;
  }

  #isTooNew(push: LoggedPush, clock: number, model: ServerState['model']): boolean {
    return model.name === 'bsp' && this.#rules.isSteady && push.clock >= clock;
  }

  /** No pull waits whose condition holds. */
  #checkWaiting(state: ServerState, { connection, worker, message }: Asked): void {
    const session = state.sessions.get(worker);
    const { versions } = state.table;
    const isBeingRead = session !== undefined && (session.inbox.length > 0 || session.isBlocked);
    if (isBeingRead || (session !== undefined && session.connection !== connection)) return;
    if (versions.isWritingInPlace || versions.pinnedVersions >= this.#rules.pinnedVersions) return;
    if (isForNews(message, state.version)) return;
    if (message.training) {
      if (session === undefined || !this.#isSure(state)) return;
      if (state.joinedWorkers < this.#rules.minWorkers) return;
      if (!this.#mayBeAnswered(state, Math.max(message.clock, session.clock))) return;
    }
    this.#violations.add(
      'no lost wake-up',
      `the pull of ${worker} for clock ${message.clock} waits and need not`,
    );
  }

  /** Whether `mayBeAnswered` is the whole rule: with buffers, clocks close one by one. */
  #isSure(state: ServerState): boolean {
    const { model } = state;
    return model.name !== 'bsp' || (model.backupWorkers === 0 && !state.hasBuffered);
  }
}

/** One number for both: requests are counted from 1. */
function keyOf(connection: number, request: number): number {
  return connection * 2 ** 32 + request;
}

/** Whether a pull waits for a newer version than `version`. */
function isForNews(message: Pull | PullRows, version: number): boolean {
  if (message.t !== MessageType.pull || !message.wait) return false;
  return message.ifNewerThan !== undefined && version <= message.ifNewerThan.version;
}

/** The smallest clock in the table, counted anew. */
export function minClockOf(state: ServerState): number {
  let min = Number.POSITIVE_INFINITY;
  for (const [, clock] of state.clocks.entries()) min = Math.min(min, clock);
  return min === Number.POSITIVE_INFINITY ? state.clocks.minClock : min;
}
