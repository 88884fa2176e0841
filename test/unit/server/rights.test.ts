import { describe, expect, it } from 'vitest';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';
import { evict } from '../../../src/core/server/eviction.js';
import { ROLES, type Role } from '../../../src/core/server/rights.js';
import type { FakeWorker } from './fakeWorker.js';
import { TestServer } from './kit.js';
import { hashOf } from './stateHash.js';

// docs/protocol.md, "Roles": every message × every role.

const MESSAGES: readonly (readonly [name: string, least: Role, message: Message, payload?: Uint8Array])[] = [
  ['Goodbye', 'monitor', { t: MessageType.goodbye, reason: '' }],
  ['Ping', 'monitor', { t: MessageType.ping }],
  ['Computing', 'monitor', { t: MessageType.computing, stepMs: 5 }],
  ['Cancel', 'monitor', { t: MessageType.cancel, request: 1 }],
  ['Stats', 'monitor', { t: MessageType.stats, request: 1 }],
  [
    'Pull',
    'reader',
    { t: MessageType.pull, request: 1, training: false, clock: 0, wait: false, consistent: true },
  ],
  [
    'training Pull',
    'worker',
    { t: MessageType.pull, request: 1, training: true, clock: 0, wait: false, consistent: true },
  ],
  ['Enter', 'worker', { t: MessageType.enter, request: 1 }],
  ['Leave', 'worker', { t: MessageType.leave, request: 1 }],
  ['Tick', 'worker', { t: MessageType.tick, request: 1, clock: 1 }],
  ['Push', 'worker', { t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, new Uint8Array(16)],
  ['PushChunk', 'worker', { t: MessageType.pushChunk, seq: 1, offset: 8 }, new Uint8Array(8)],
  ['Control', 'admin', { t: MessageType.control, request: 1, action: 'finish' }],
];

function joined(server: TestServer, role: Role): FakeWorker {
  const readOnly = role === 'monitor' || role === 'reader';
  return server.worker(role, { principal: { role }, readOnly });
}

const cases = ROLES.flatMap((role) => MESSAGES.map((row) => ({ role, row, name: row[0] })));

describe('what a role may send', () => {
  it.each(cases)('$role: $name', ({ role, row: [name, least, message, payload] }) => {
    const server = new TestServer();
    const sender = joined(server, role);
    if (name === 'PushChunk' && ROLES.indexOf(role) >= ROLES.indexOf('worker')) {
      sender.send({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, new Uint8Array(8));
    }
    const before = hashOf(server.core.state);
    sender.send(message, payload);
    const isAllowed = ROLES.indexOf(role) >= ROLES.indexOf(least);
    const lines = sender.lines();
    expect(lines.some((line) => line.includes('PS_FORBIDDEN'))).toBe(!isAllowed);
    if (isAllowed) return;
    expect(hashOf(server.core.state)).toBe(before);
    const ends = name === 'Push' || name === 'PushChunk';
    expect(lines).toEqual(
      ends ? ['refused: PS_FORBIDDEN', 'closed 4403'] : ['request 1 refused: PS_FORBIDDEN'],
    );
  });

  it.each(ROLES)('%s: to say hello as a worker', (role) => {
    const server = new TestServer();
    const sender = server.stranger('s', { principal: { role } });
    sender.hello();
    const isAllowed = role === 'worker' || role === 'admin';
    expect(sender.lines()).toEqual(
      isAllowed ? ['welcome epoch 1, clock 0, committed 0'] : ['refused: PS_FORBIDDEN', 'closed 4403'],
    );
  });

  it.each(ROLES)('%s: to claim another id than its token’s', (role) => {
    const server = new TestServer();
    const readOnly = role === 'monitor' || role === 'reader';
    const thief = server.stranger('a', { principal: { role, id: 'b' }, readOnly });
    thief.hello();
    expect(thief.lines()).toEqual(['refused: PS_FORBIDDEN', 'closed 4403']);
    expect(server.worker('b', { principal: { role, id: 'b' }, readOnly }).isOpen).toBe(true);
  });
});

describe('an eviction', () => {
  it('takes a worker out at once, wakes those who waited for it, and keeps it out', () => {
    const server = new TestServer({ consistency: { name: 'ssp', staleness: 0 } });
    const [slow, fast] = [server.worker('slow'), server.worker('fast')];
    for (const each of [slow, fast]) each.enter();
    fast.tick();
    fast.pull();
    for (const each of [slow, fast]) each.lines();
    server.command((context, { membership }) => {
      expect(evict(context, membership, 'slow', 'too slow')).toBe(true);
    });
    expect(slow.lines()).toEqual(['refused: PS_EVICTED', 'closed 4411']);
    expect(fast.lines()).toEqual(['pull 3: v0 [0 0 0 0]']);
    slow.reconnect();
    expect(slow.lines()).toEqual(['refused: PS_EVICTED', 'closed 4411']);
  });

  it('lets a new process under the id in, with another epoch and the clock that was reached', () => {
    const server = new TestServer();
    const first = server.worker('a');
    first.tick();
    server.command((context, { membership }) => void evict(context, membership, 'a', ''));
    const second = server.stranger('a', { key: 'another process' });
    second.hello();
    expect(second.lines()).toEqual(['welcome epoch 3, clock 1, committed 0']);
  });

  it('ends readers of that name, and says when there is nobody', () => {
    const server = new TestServer();
    const reader = server.reader('r');
    const found: boolean[] = [];
    server.command((context, { membership }) => {
      for (const id of ['r', 'nobody']) found.push(evict(context, membership, id, ''));
    });
    expect(found).toEqual([true, false]);
    expect(reader.lines()).toEqual(['refused: PS_EVICTED', 'closed 4411']);
  });
});
