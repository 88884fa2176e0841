/**
 * What must hold of the server after every turn: its clock table, its memory, who is in and who is fenced
 * off. And what must hold when everything is over: nothing is left behind.
 */
import { MessageType, type WorkerMessage } from '../../core/protocol/messages.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { PushLedger } from './pushLedger.js';
import type { Violations } from './violations.js';

/** What the checks need to know of a run. */
export interface TableRules {
  readonly numberOf: (id: string) => number | undefined;
  /** Of those with a number, by it. */
  readonly ids: readonly string[];
  readonly pinnedVersions: number;
  readonly stagingBytes: number;
  /** Nothing in this run excuses a worker's silence, so no lease may end. */
  readonly areAllHeard: boolean;
}

/** Watches the table of one run. */
export class TableWatch {
  readonly #rules: TableRules;
  readonly #ledger: PushLedger;
  readonly #violations: Violations;
  #minClock = 0;
  /** Whose Hello came over each connection. */
  readonly #greetings = new Map<number, { id: string; process: number }>();
  /** How often a worker lost its place for its silence. */
  evictions = 0;
  /** Largest values seen. */
  maxPinned = 0;
  maxStagingBytes = 0;

  constructor(rules: TableRules, ledger: PushLedger, violations: Violations) {
    this.#rules = rules;
    this.#ledger = ledger;
    this.#violations = violations;
  }

  started(core: ServerCore): void {
    this.#minClock = core.state.clocks.minClock;
    this.#look(core);
  }

  receives(connection: number, message: WorkerMessage): void {
    if (message.t !== MessageType.hello) return;
    this.#greetings.set(connection, { id: message.worker, process: Number(message.session.split('#')[1]) });
  }

  stepped(core: ServerCore, effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'observe') this.#onObservation(effect.observation);
      else if (effect.kind === 'send' && effect.message.t === MessageType.welcome) {
        this.#onWelcome(effect.connection);
      }
    }
    this.#look(core);
    this.#checkClocks(core);
    this.#checkMemory(core);
  }

  #onObservation(observation: Extract<ServerEffect, { kind: 'observe' }>['observation']): void {
    if (observation.kind === 'leave') {
      this.#noteAbsence(observation.id);
      if (observation.reason === 'lease' || observation.reason === 'disconnected') this.evictions++;
      if (observation.reason === 'lease' && this.#rules.areAllHeard) {
        this.#violations.add('leases', `${observation.id} is evicted although it was heard all the time`);
      }
    } else if (observation.kind === 'dropped' || observation.kind === 'repeated') {
      const number = this.#rules.numberOf(observation.id);
      if (number !== undefined) this.#ledger.drops(number, observation.clock);
    } else if (observation.kind === 'error') {
      this.#violations.add('no errors', `${observation.error.code} ${observation.error.message}`);
    }
  }

  /** A process is let in: from now on nothing of an earlier one may count. */
  #onWelcome(connection: number): void {
    const { id, process } = this.#greetings.get(connection) as { id: string; process: number };
    const number = this.#rules.numberOf(id);
    if (number === undefined) return;
    // A server that lost everything can't know who came before.
    const isForgotten = this.#ledger.history > 1;
    if (!isForgotten && process < (this.#ledger.admitted[number] as number)) {
      this.#violations.add('fenced', `process ${process} of ${id} is let in after a later one`);
    }
    this.#ledger.admitted[number] = process;
  }

  /** Who is in the table, and who is out of it. */
  #look(core: ServerCore): void {
    const { clocks } = core.state;
    const { ids } = this.#rules;
    for (let number = 0; number < ids.length; number++) {
      const id = ids[number] as string;
      const isIn = clocks.has(id);
      // Coming back counts too: what was pushed meanwhile may be late.
      if (isIn !== this.#ledger.isIn[number]) {
        this.#noteAbsence(id);
        this.#ledger.entryClocks[number] = clocks.clockOf(id) ?? 0;
      }
      this.#ledger.isIn[number] = isIn;
    }
  }

  #noteAbsence(id: string): void {
    const number = this.#rules.numberOf(id);
    if (number !== undefined) this.#ledger.absences[number] = (this.#ledger.absences[number] as number) + 1;
  }

  #checkClocks({ state }: ServerCore): void {
    const { clocks, sessions } = state;
    let smallest = Number.POSITIVE_INFINITY;
    for (const [id, clock] of clocks.entries()) {
      if (clock < smallest) smallest = clock;
      const session = sessions.get(id);
      if (session?.clock === clock) continue;
      const text = `${id} stands at ${clock} in the table, its session at ${session?.clock}`;
      this.#violations.add('clock table', text);
    }
    const minClock = smallest === Number.POSITIVE_INFINITY ? clocks.minClock : smallest;
    if (minClock < this.#minClock) {
      this.#violations.add('minClock never falls', `minClock falls from ${this.#minClock} to ${minClock}`);
    }
    this.#minClock = minClock;
    if (clocks.minClock === minClock) return;
    const text = `minClock is ${clocks.minClock}, the smallest clock is ${minClock}`;
    this.#violations.add('minClock', text);
  }

  #checkMemory(core: ServerCore): void {
    const { pinnedVersions } = core.state.table.versions;
    const { usedBytes } = core.view.staging;
    this.maxPinned = Math.max(this.maxPinned, pinnedVersions);
    this.maxStagingBytes = Math.max(this.maxStagingBytes, usedBytes);
    if (pinnedVersions > this.#rules.pinnedVersions) {
      this.#violations.add('memory', `${pinnedVersions} versions are pinned`);
    }
    if (usedBytes > this.#rules.stagingBytes) this.#violations.add('memory', `${usedBytes} bytes are staged`);
  }

  /** Everything is over. */
  checkEnd(core: ServerCore): void {
    const { state, view } = core;
    const left: [string, number][] = [
      ['versions pinned', state.table.versions.pinnedVersions],
      ['staged bytes', view.staging.usedBytes],
      ['waiting pulls', view.pulls.waiting],
      ['workers in the clock table', state.clocks.size],
      ['clocks with buffered updates', state.buffers.size],
      ['messages', [...state.sessions.values()].reduce((sum, { inbox }) => sum + inbox.length, 0)],
    ];
    for (const [what, count] of left) {
      if (count !== 0) this.#violations.add('nothing is left behind', `${count} ${what} at the end`);
    }
  }
}
