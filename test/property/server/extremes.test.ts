import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';
import { TestServer } from '../../unit/server/kit.js';
import { anyFrame } from '../messages.js';

// Messages that are right by their schema, with numbers at the ends of their ranges, and sums that add up: so they get
// past every check of form. Whatever they ask for, the server refuses or does it, throws nothing, holds no more memory
// than it may, and who comes later can train.

const STAGING = 4096;
const big = fc.constantFrom(0, 1, 2, 3, 7, 8, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1);
const small = fc.integer({ min: 0, max: 4 });
const maybe = <T>(each: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(each, { nil: undefined });

interface Sent {
  readonly message: Message;
  readonly payload: Uint8Array;
}

const zeros = (bytes: number): Uint8Array => new Uint8Array(Math.min(bytes, 4096));
const clockOf = fc.oneof(small, big);

const range = fc
  .record({
    dataSet: big,
    epoch: big,
    dataShard: big,
    lease: big,
    positions: fc.uniqueArray(big, { minLength: 4, maxLength: 4 }),
  })
  .map(({ dataSet, lease, positions, ...rest }) => {
    const [begin, from, to, end] = [...positions].sort((x, y) => x - y);
    return { dataSet: Math.max(1, dataSet), lease: Math.max(1, lease), ...rest, begin, from, to, end };
  });

const push: fc.Arbitrary<Sent> = fc
  .record({
    seq: fc.oneof(
      fc.integer({ min: 1, max: 5 }),
      big.map((each) => Math.max(1, each)),
    ),
    clock: clockOf,
    tick: maybe(fc.oneof(small, big).map((each) => Math.max(1, each))),
    isWhole: fc.boolean(),
    rows: maybe(fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom(2 ** 20, 1_000_000_000, 2 ** 40))),
    sent: fc.constantFrom(1, 0.5, 0),
    data: maybe(range),
    version: maybe(fc.record({ incarnation: fc.constantFrom('incarnation', 'other'), version: big })),
    normSquared: maybe(fc.constantFrom(0, -1, 1e308, Number.POSITIVE_INFINITY, Number.NaN)),
  })
  .map(({ isWhole, rows = 0, sent, ...fields }) => {
    // Each row of the one table is an id and three numbers.
    const bytes = (isWhole ? 4 * 4 : 0) + rows * (8 + 3 * 4);
    const counts = rows === 0 ? {} : { rows: [{ table: 0, count: rows }] };
    const message = { t: MessageType.push, ...fields, ...counts, bytes, ...(isWhole ? {} : { tensors: [] }) };
    return { message: message as Message, payload: zeros(4 * Math.floor((bytes * sent) / 4)) };
  });

const results: fc.Arbitrary<Sent> = fc
  .record({
    request: big,
    leases: fc.uniqueArray(big, { maxLength: 5 }),
    length: fc.constantFrom(0, 8, 67_108_864),
  })
  .map(({ request, leases, length }) => {
    const bytes = leases.length * length;
    const lengths = leases.map(() => length);
    return {
      message: { t: MessageType.taskResults, request, leases, lengths, bytes },
      payload: zeros(bytes),
    };
  });

const pulls: fc.Arbitrary<Sent> = fc
  .record({
    request: big,
    training: fc.boolean(),
    clock: clockOf,
    ids: fc.oneof(
      small,
      big.filter((n) => n < 2 ** 49),
    ),
  })
  .map(({ ids, ...fields }) => ({
    message: { t: MessageType.pullRows, ...fields, table: 0, bytes: 8 * ids },
    // Ids that rise, as they must, for a few.
    payload: Uint8Array.from({ length: Math.min(8 * ids, 4096) }, (_, at) => (at % 8 === 0 ? at / 8 : 0)),
  }));

const clocks: fc.Arbitrary<Sent> = fc
  .record({
    t: fc.constantFrom(MessageType.enter, MessageType.leave, MessageType.tick),
    request: big,
    clock: clockOf,
  })
  .map((message) => ({ message: message as Message, payload: zeros(0) }));

const asks: fc.Arbitrary<Sent> = fc
  .record({
    request: big,
    held: fc.uniqueArray(big, { maxLength: 3 }),
    wants: fc.boolean(),
    want: big,
    stepMs: big,
  })
  .chain(({ request, held, wants, want, stepMs }) =>
    fc.constantFrom<Message>(
      { t: MessageType.dataRequest, request, held, wants },
      { t: MessageType.taskRequest, request, held, want, concurrency: Math.max(1, want) },
      { t: MessageType.computing, stepMs },
    ),
  )
  .map((message) => ({ message, payload: zeros(0) }));

const others = anyFrame.filter(
  ({ message }) => message.t < MessageType.welcome && message.t !== MessageType.goodbye,
);
const sent = fc.oneof({ weight: 4, arbitrary: push }, results, pulls, clocks, asks, others);
const step = fc.record({
  from: fc.integer({ min: 0, max: 2 }),
  sent,
  ms: fc.constantFrom(0, 0, 0, 1, 100, 40_000),
});

it('messages that only their numbers are wrong with break nothing', () => {
  const models = fc.constantFrom(asp(), ssp({ staleness: 1 }), bsp(), bsp({ backupWorkers: 1 }));
  fc.assert(
    fc.property(models, fc.array(step, { maxLength: 30 }), fc.boolean(), (consistency, steps, isDurable) => {
      const server = new TestServer({
        ...{ tables: { words: { dim: 3 } }, consistency, isDurable },
        limits: { stagingBytes: STAGING, clockBufferBytes: STAGING },
      });
      const bad = [server.worker('a'), server.worker('b'), server.reader('r')];
      server.persist();
      for (const { from, sent: each, ms } of steps) {
        const worker = bad[from] as (typeof bad)[number];
        if (!worker.isOpen) worker.reconnect();
        worker.sendBytes(encodeFrame(each.message, each.payload));
        if (ms > 0) server.tick(ms);
        server.persist();
        expect(server.core.view.staging.usedBytes).toBeLessThanOrEqual(STAGING);
        expect(server.core.state.bufferedBytes).toBeLessThanOrEqual(STAGING);
      }
      for (const worker of bad) if (worker.isOpen) worker.goodbye();
      server.persist();
      const good = server.worker('good');
      server.persist();
      good.enter();
      server.persist();
      good.push([1, 1, 1, 1], { tick: true });
      server.persist();
      expect(good.lines().join()).toMatch(/push 1 (applied|buffered|dropped|scaled)/);
    }),
    { numRuns: 400 },
  );
}, 240_000);
