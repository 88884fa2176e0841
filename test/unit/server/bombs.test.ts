import { describe, expect, it } from 'vitest';
import { MAX_VALUES } from '../../../src/core/protocol/limits.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { decodeValue, encodeValue } from '../../../src/core/protocol/valueCodec.js';
import { StagingPool } from '../../../src/core/table/stagingPool.js';
import { TestServer } from './kit.js';

// What a message announces costs nothing: a few bytes that speak of gigabytes end in a refusal, and whoever else is
// there goes on.

const ONES = [1, 1, 1, 1];

describe('pushes', () => {
  it('of more rows than the staging pool has room for are refused, and the server lives on', () => {
    const server = new TestServer({ tables: { words: { dim: 64 } }, limits: { stagingBytes: 1e6 } });
    const [good, bad] = [server.worker('good'), server.worker('bad')];
    const count = 1_000_000_000;
    bad.send({
      ...{ t: MessageType.push, seq: 1, clock: 0, tensors: [], bytes: 4 * count * 66 },
      rows: [{ table: 0, count }],
    });
    bad.chunk(1, 0, []);
    good.push(ONES);
    expect(good.lines()).toContainEqual(expect.stringContaining('applied'));
    expect(server.core.view.staging.usedBytes).toBe(0);
  });

  it('for which there is no memory are refused with PS_LIMIT, and their bytes passed over', () => {
    let isFull = true;
    const pool = new StagingPool(1e9, (length) => {
      if (isFull) throw new RangeError('Array buffer allocation failed');
      return new Float32Array(length);
    });
    expect(() => pool.take(1000)).toThrow(RangeError);
    expect(pool.usedBytes).toBe(0);
    isFull = false;
    expect(pool.take(1000)).toHaveLength(1000);
    expect(pool.usedBytes).toBe(4000);
  });

  it('beyond maxRequests without an answer end the connection, whoever reconnects may push again', () => {
    const server = new TestServer({ isDurable: true, limits: { maxRequests: 2 } });
    const [hasty, patient] = [server.worker('hasty'), server.worker('patient')];
    server.persist();
    for (let i = 0; i < 3; i++) hasty.push(ONES);
    expect(hasty.isOpen).toBe(false);
    server.persist();
    for (let i = 0; i < 5; i++) {
      patient.push(ONES);
      server.persist();
    }
    expect(patient.lines().filter((line) => line.includes('applied'))).toHaveLength(5);
    hasty.reconnect();
    server.persist();
    hasty.lines();
    hasty.push(ONES, { seq: 1 });
    hasty.push(ONES, { seq: 2 });
    expect(hasty.isOpen).toBe(true);
    server.persist();
    expect(hasty.lines().filter((line) => line.includes('applied'))).toHaveLength(2);
  });

  it('that wait for the disk count as staged: with too many of them nobody is read from', () => {
    const server = new TestServer({ isDurable: true, limits: { stagingBytes: 40 } });
    const [a, b, c] = [server.worker('a'), server.worker('b'), server.worker('c')];
    server.persist();
    for (const worker of [a, b, c]) worker.push(ONES);
    expect(server.core.view.staging.usedBytes).toBe(32);
    expect([a, b, c].map((worker) => worker.isPaused)).toEqual([false, false, true]);
    server.persist();
    server.persist();
    expect([a, b, c].map((worker) => worker.isPaused)).toEqual([false, false, false]);
    for (const worker of [a, b, c]) expect(worker.lines().join()).toContain('applied');
    expect(server.core.view.staging.usedBytes).toBe(0);
  });
});

describe('results of tasks', () => {
  const length = 67_108_864;

  it.each([32, 512])('of %i leases that are not held take no memory, and the server lives on', (count) => {
    const server = new TestServer();
    const [good, bad] = [server.worker('good'), server.worker('bad')];
    const before = process.memoryUsage().arrayBuffers;
    bad.send({
      ...{ t: MessageType.taskResults, request: 1, bytes: count * length },
      leases: Array.from({ length: count }, (_, i) => i),
      lengths: Array(count).fill(length),
    });
    bad.send({ t: MessageType.taskResultChunk, request: 1, offset: 0 }, new Uint8Array(1024));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
    good.push(ONES);
    expect(good.lines()).toContainEqual(expect.stringContaining('applied'));
  });

  it('are bounded in how many values they have, at either end', () => {
    const count = MAX_VALUES + 1;
    const bytes = new Uint8Array(Math.ceil((8 + 5 + count) / 8) * 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 5 + count, true);
    bytes[8] = 0xdd;
    view.setUint32(9, count, false);
    bytes.fill(0x80, 13, 13 + count);
    expect(() => decodeValue(bytes)).toThrow(/holds more than 1048576 values/);
    const numbers: number[] = Array(count).fill(1);
    expect(() => encodeValue(numbers, 'the result')).toThrow(/the result can't be sent.*use typed arrays/);
    numbers.pop();
    const { pieces } = encodeValue(numbers);
    expect(decodeValue(pieces[0] as Uint8Array)).toHaveLength(MAX_VALUES);
    expect(decodeValue(joined(encodeValue(new Float32Array(count)).pieces))).toHaveLength(count);
  });
});

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}
