/**
 * Any schedule of messages, losses and time on one server whose updates take several turns: nothing is
 * counted twice or lost, nobody waits for what has come, and the journal of it leads to the same state.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { asp, bsp, type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { adam } from '../../../src/core/optim/adam.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import type { JournalRecord } from '../../../src/core/server/records.js';
import { runToEnd } from '../../../src/core/table/job.js';
import { TestServer, type TestServerOptions } from '../../unit/server/kit.js';
import { hashOf } from '../../unit/server/stateHash.js';
import { type Actor, newActor } from './actor.js';

// Slices of 256 elements, so that small tables take several turns.
vi.mock('../../../src/core/table/job.js', async (original) => ({
  ...(await original<object>()),
  SLICE_ELEMENTS: 256,
  IN_PLACE_ELEMENTS: 256,
}));

const LENGTH = 600;
const IDS = ['a', 'b', 'c', 'd'];
const MODELS: Consistency[] = [
  ssp({ staleness: 0 }),
  ssp({ staleness: 2 }),
  asp(),
  bsp(),
  bsp({ backupWorkers: 1 }),
  bsp({ aggregate: 'krum' }),
  bsp({ aggregate: 'median' }),
];

/** One step: who does what, and a number for it. */
interface Step {
  readonly who: number;
  readonly what: number;
  readonly x: number;
}
const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({ who: fc.nat(3), what: fc.nat(99), x: fc.nat(9) }), {
  minLength: 20,
  maxLength: 150,
  size: 'max',
});

/** A server, a process per worker, and what has happened. */
class Play {
  readonly server: TestServer;
  readonly actors: Actor[];
  readonly dead: Actor[] = [];
  readonly #models: readonly Consistency[];
  #processes = 0;

  constructor(options: TestServerOptions, models: readonly Consistency[]) {
    this.#models = models;
    const limits = { leaseMs: 3000, disconnectGraceMs: 300, pullTimeoutMs: 1e6, stagingBytes: 5000 };
    this.server = new TestServer({
      parameters: { w: { shape: [LENGTH] } },
      ...options,
      limits: { ...limits, pinnedVersions: 1, ...options.limits },
    });
    this.server.isContinuing = false;
    this.actors = IDS.map((id, cell) => newActor(this.server, id, this.#newKey(), cell, LENGTH));
  }

  run(all: readonly Step[]): void {
    for (const step of all) {
      this.#act(step);
      this.#hear();
    }
  }

  /** Everyone who is alive comes back, and all that was begun is finished. */
  heal(): void {
    for (let round = 0; round < 3; round++) {
      this.settle();
      for (const actor of this.actors) if (!actor.worker.isOpen) actor.reconnect();
      for (const { worker } of this.actors) {
        worker.isReading = true;
        worker.read();
      }
      this.settle();
    }
  }

  settle(): void {
    while (this.server.proceed() || this.server.records.length > 0) this.server.persist();
    this.#hear();
  }

  #act({ who, what, x }: Step): void {
    const { server } = this;
    const actor = this.actors[who] as Actor;
    const { worker } = actor;
    if (what < 25) actor.push([LENGTH, 250, 100][x % 3] as number, x % 2 === 0);
    else if (what < 45) actor.pull(x < 7);
    else if (what < 65) server.proceed();
    else if (what < 72) server.persist(server.records[x % 3]?.number ?? server.records.at(-1)?.number ?? 0);
    else if (what < 76) this.#pass(x * 40);
    else if (what < 79 && worker.isOpen) worker.drop();
    else if (what < 84) actor.reconnect();
    else if (what < 86 && worker.isOpen) worker.enter();
    else if (what < 88 && worker.isOpen && actor.pulls.size === 0) worker.leave();
    else if (what < 89 && worker.isOpen) worker.goodbye();
    else if (what < 91) this.#restart(who);
    else if (what < 92) actor.pushPart(200);
    else if (what < 94 && worker.isOpen) worker.isReading = x < 7;
    else if (what < 96) worker.read();
    else if (what < 98) server.setConsistency(this.#models[x % this.#models.length] as Consistency);
    else if (worker.isOpen) worker.tick();
  }

  #pass(ms: number): void {
    for (const { worker } of this.actors) if (worker.isOpen) worker.ping();
    this.server.tick(ms);
  }

  /** The process dies, and another begins under its id, as soon as it may. */
  #restart(who: number): void {
    const old = this.actors[who] as Actor;
    old.die();
    this.dead.push(old);
    this.actors[who] = newActor(this.server, IDS[who] as string, this.#newKey(), who, LENGTH);
  }

  #newKey(): string {
    return `process ${++this.#processes}`;
  }

  #hear(): void {
    for (const actor of this.actors) expect(actor.hear()).toEqual([]);
  }
}

/** Everything that is left when all is done: nothing. */
function expectNothingLeft({ server, actors }: Play): void {
  for (const { worker } of actors) worker.goodbye();
  while (server.proceed());
  server.persist();
  const { view, state } = server.core;
  expect(view.pulls.waiting).toBe(0);
  expect(view.staging.usedBytes).toBe(0);
  expect(state.table.versions.pinnedVersions).toBe(0);
  expect(state.clocks.size).toBe(0);
  for (const session of state.sessions.values()) {
    expect([session.id, session.inbox.length, session.isBlocked]).toEqual([session.id, 0, false]);
  }
}

describe.each([false, true])('with a journal: %s', (isDurable) => {
  it('every acknowledged push is in the parameters exactly once, and no other', () => {
    const models = MODELS.slice(0, 3);
    fc.assert(
      fc.property(steps, fc.constantFrom(...models), (all, consistency) => {
        const play = new Play({ isDurable, consistency, optimizer: sgd({ learningRate: 1 }) }, models);
        play.run(all);
        play.heal();
        const { values } = play.server;
        let [least, most] = [0, 0];
        for (const [cell, id] of IDS.entries()) {
          const processes = [...play.dead, ...play.actors].filter(({ worker }) => worker.id === id);
          const counted = processes.reduce((sum, each) => sum + each.counted, 0);
          const unknown = processes.reduce((sum, each) => sum + each.unknown, 0);
          expect(values[cell]).toBeGreaterThanOrEqual(counted);
          expect(values[cell]).toBeLessThanOrEqual(counted + unknown);
          least += counted;
          most += counted + unknown;
        }
        expect(values[LENGTH - 1]).toBe(IDS.reduce((sum, _, cell) => sum + (values[cell] as number), 0));
        expect(values[LENGTH - 1]).toBeGreaterThanOrEqual(least);
        expect(values[LENGTH - 1]).toBeLessThanOrEqual(most);
        expect(play.actors.map((actor) => actor.unknown)).toEqual([0, 0, 0, 0]);
        expectNothingLeft(play);
      }),
      { numRuns: 150 },
    );
  });

  it('no pull waits whose condition holds', () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(...MODELS), (all, consistency) => {
        const play = new Play({ isDurable, consistency }, MODELS);
        play.run(all);
        play.heal();
        const { policy, clocks } = play.server.core.state;
        for (const { pulls, worker } of play.actors) {
          for (const clock of pulls.values()) {
            expect(clock).toBeDefined();
            const session = play.server.core.state.session(worker.id);
            expect(policy.mayPull(Math.max(clock as number, session.clock), clocks)).toBe(false);
          }
        }
        // Whoever does not wait leaves: then nobody is awaited.
        for (const _ of IDS) {
          for (const { worker, pulls } of play.actors) if (pulls.size === 0) worker.leave();
          play.settle();
        }
        expect(play.actors.map(({ pulls }) => [...pulls.values()])).toEqual([[], [], [], []]);
        expectNothingLeft(play);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the journal', () => {
  it('leads another server to the same state, to the bit', () => {
    const options = (): TestServerOptions => ({
      parameters: { w: { shape: [LENGTH] } },
      optimizer: adam({ learningRate: 0.1 }),
      delay: { scale: 'inverse', max: 6 },
      clip: { norm: 1 },
    });
    fc.assert(
      fc.property(steps, fc.constantFrom(...MODELS), (all, consistency) => {
        const replica = new TestServer({ ...options(), consistency }).core.state;
        const journal = (record: JournalRecord): void => {
          const job = replica.apply(record, 0);
          if (job !== undefined) runToEnd(job);
        };
        const play = new Play({ ...options(), consistency, isDurable: true, journal }, MODELS);
        play.run(all);
        play.settle();
        for (const session of replica.sessions.values()) session.committedSeq = session.decidedSeq;
        expect(hashOf(replica)).toBe(hashOf(play.server.core.state));
      }),
      { numRuns: 150 },
    );
  });
});
