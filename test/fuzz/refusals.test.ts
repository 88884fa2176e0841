import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../src/core/consistency/consistency.js';
import { momentum } from '../../src/core/optim/momentum.js';
import { MessageType } from '../../src/core/protocol/messages.js';
import type { Role } from '../../src/core/server/rights.js';
import type { FakeWorker } from '../unit/server/fakeWorker.js';
import { TestServer } from '../unit/server/kit.js';
import { hashOf } from '../unit/server/stateHash.js';
import { EFFORT, Mutator, SEED } from './mutate.js';

// Mutated frames to a whole server core, in the middle of training: what is refused changes nothing, and nothing but
// a refusal is ever thrown.

const PARAMETERS = { kernel: { shape: [2] }, bias: { shape: [1] }, fixed: { shape: [2], trainable: false } };
const TABLES = { words: { dim: 2 }, few: { dim: 1, maxRows: 3 } };
const MODELS = [ssp({ staleness: 1 }), bsp(), bsp({ aggregate: 'krum' }), asp()];
const IS_REFUSAL = /refused|^closed|^pong$/;

class Battle {
  readonly server: TestServer;
  readonly #mutator: Mutator;
  readonly #honest: FakeWorker;
  readonly #role: Role;
  #attacker: FakeWorker;
  #attackers = 0;
  refused = 0;
  taken = 0;

  constructor(mutator: Mutator, role: Role) {
    this.#mutator = mutator;
    this.#role = role;
    this.server = new TestServer({
      parameters: PARAMETERS,
      tables: TABLES,
      optimizer: momentum({ learningRate: 1e-9 }),
      consistency: mutator.pick(MODELS),
      limits: { maxProtocolErrors: 3 },
    });
    this.#honest = this.server.worker('honest');
    this.#attacker = this.#newAttacker();
  }

  #newAttacker(): FakeWorker {
    const readOnly = this.#role === 'monitor' || this.#role === 'reader';
    this.#attackers++;
    return this.server.worker(`attacker-${this.#attackers}`, { principal: { role: this.#role }, readOnly });
  }

  /** One frame of the attacker; now and then the honest one goes on. */
  strike(): void {
    if (this.#mutator.below(20) === 0) this.#train();
    if (this.#mutator.below(40) === 0) this.server.tick(this.#mutator.below(2000));
    if (!this.#attacker.isOpen) this.#attacker = this.#newAttacker();
    const attacker = this.#attacker;
    attacker.lines();
    const { state } = this.server.core;
    const before = [hashOf(state, false), state.version, [...state.sessions.keys()].join()];
    const frame = this.#mutator.next();
    attacker.sendBytes(frame);
    const told = attacker.lines();
    const isRefused = told.length > 0 && told.every((line) => IS_REFUSAL.test(line));
    const isGoodbye = told.includes('closed 1000');
    const mayChange = !isRefused || isGoodbye;
    if (!isRefused) this.taken++;
    else this.refused++;
    if (this.#role === 'worker' && mayChange) return;
    // A lease that ends with the connection is no change of the message's, and ends later.
    const after = [hashOf(state, false), state.version, [...state.sessions.keys()].join()];
    expect(after, Buffer.from(frame).toString('hex')).toEqual(before);
  }

  #train(): void {
    if (!this.#honest.isOpen) this.#honest.reconnect();
    this.#honest.push([1, 1, 1], { tensors: [0, 1] });
    this.#pushRows([this.#mutator.below(9), 9]);
    this.#honest.tick();
    this.#honest.lines();
  }

  #pushRows(ids: readonly number[]): void {
    const honest = this.#honest;
    const payload = Buffer.concat([
      Buffer.from(BigUint64Array.from(ids, BigInt).buffer),
      Buffer.from(new Float32Array(ids.length).fill(1e-9).buffer),
    ]);
    honest.seq++;
    const fields = { seq: honest.seq, clock: honest.clock, bytes: payload.length, tensors: [] };
    honest.send({ t: MessageType.push, ...fields, rows: [{ table: 1, count: ids.length }] }, payload);
  }

  /** Whether everything that the attackers held is given back when they are gone, and others go on. */
  end(): void {
    this.#attacker.drop();
    this.server.wait(120_000, 1000);
    if (!this.#honest.isOpen) this.#honest.reconnect();
    this.#honest.lines();
    this.#honest.look();
    expect(this.#honest.lines().some((line) => /^pull \d+: v\d+/.test(line))).toBe(true);
    expect(this.server.core.view.staging.usedBytes).toBe(0);
    expect(this.server.core.state.table.versions.pinnedVersions).toBe(0);
    expect([...this.server.core.view.membership.present].length).toBeLessThanOrEqual(1);
  }
}

describe.each(['worker', 'reader', 'monitor'] as const)('a %s that sends mutated frames', (role) => {
  it('changes nothing by what is refused, and holds nothing back when it is gone', () => {
    const mutator = new Mutator(SEED + 10);
    let [refused, taken] = [0, 0];
    for (let battle = 0; battle < 20 * EFFORT; battle++) {
      const fight = new Battle(mutator, role);
      for (let i = 0; i < 200; i++) fight.strike();
      fight.end();
      refused += fight.refused;
      taken += fight.taken;
    }
    expect(refused).toBeGreaterThan(1000 * EFFORT);
    expect(taken).toBeGreaterThan(20 * EFFORT);
  });
});
