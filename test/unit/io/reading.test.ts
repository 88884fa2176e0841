import { describe, expect, it, vi } from 'vitest';
import { Company } from '../../../src/io/server/company.js';
import { Reading } from '../../../src/io/server/reading.js';
import type { Outbox } from '../../../src/io/transport/outbox.js';
import type { Transport } from '../../../src/io/transport/transport.js';

// When one connection is read from, for each reason not to.

function setUp() {
  const calls: string[] = [];
  const transport = { pause: () => calls.push('pause'), resume: () => calls.push('resume') };
  const outbox = { bufferedBytes: 0, pendingStreams: 0 };
  const wire = { bytesRead: 0, bytesWritten: 0 };
  const company = new Company();
  const time = { now: 0 };
  const reading = new Reading(
    ...([transport as unknown as Transport, outbox as unknown as Outbox] as const),
    ...([wire, 1000, company, () => time.now] as const),
  );
  const told = (): string => calls.splice(0).join(' ');
  /** So many messages of one read. */
  const receive = (count: number): void => {
    for (let i = 0; i < count; i++) reading.messageEnded(time.now);
  };
  return { reading, outbox, wire, company, time, told, receive };
}

const another = {};

describe('a connection is read from', () => {
  it('unless the core has no room, or it does not read its answers; each reason by itself', () => {
    const { reading, outbox, told } = setUp();
    reading.hold(true);
    outbox.bufferedBytes = 1001;
    reading.look();
    expect(told()).toBe('pause');
    reading.hold(false);
    outbox.bufferedBytes = 501;
    reading.look();
    expect(told()).toBe('');
    outbox.bufferedBytes = 500;
    reading.look();
    expect(told()).toBe('resume');
    outbox.pendingStreams = 17;
    reading.look();
    outbox.pendingStreams = 8;
    reading.look();
    expect(told()).toBe('pause resume');
  });

  it('however many messages come, if each waits for the answer to the one before', () => {
    const { reading, wire, told } = setUp();
    for (let i = 0; i < 1000; i++) {
      wire.bytesRead += 20;
      reading.messageEnded(i);
    }
    expect(told()).toBe('');
  });

  it('a fifth of the time, if it sends many at once and others send too', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      const { reading, wire, company, time, told, receive } = setUp();
      wire.bytesRead = 65_536;
      time.now = 1000;
      company.heard(another, 500);
      receive(16);
      expect(told()).toBe('');
      receive(1);
      expect(told()).toBe('pause');
      expect(reading.isInMessage).toBe(false);
      // They have taken 5 ms, with the writing of the answers.
      time.now = 1005;
      await Promise.resolve();
      vi.advanceTimersByTime(19);
      expect(told()).toBe('');
      // The timer came half a millisecond early.
      time.now = 1024.5;
      vi.advanceTimersByTime(1);
      expect(told()).toBe('resume');
      // The rest of the same read.
      receive(17);
      expect(told()).toBe('pause');
      time.now = 1025.5;
      await Promise.resolve();
      vi.advanceTimersByTime(3);
      expect(told()).toBe('');
      time.now = 1029;
      vi.advanceTimersByTime(1);
      expect(told()).toBe('resume');
      receive(17);
      time.now = 1030;
      await Promise.resolve();
      expect(told()).toBe('pause');
      reading.hold(true);
      vi.advanceTimersByTime(100);
      expect(told()).toBe('');
      reading.hold(false);
      expect(told()).toBe('resume');
    } finally {
      vi.useRealTimers();
    }
  });

  it('all of the time but for a turn of the event loop now and then, if it sends many at once and is alone', async () => {
    const { wire, company, time, told, receive } = setUp();
    wire.bytesRead = 65_536;
    company.heard(another, 10);
    time.now = 1011;
    receive(17);
    expect(told()).toBe('pause');
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told()).toBe('resume');
  });
});

it('who is alone is known however many have come before', () => {
  const company = new Company();
  const [a, b, c] = [{}, {}, {}];
  expect(company.heardBeside(a)).toBe(Number.NEGATIVE_INFINITY);
  company.heard(a, 1);
  company.heard(b, 2);
  company.heard(a, 3);
  company.heard(a, 4);
  expect([a, b, c].map((each) => company.heardBeside(each))).toEqual([2, 4, 4]);
});
