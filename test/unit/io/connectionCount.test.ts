import { describe, expect, it } from 'vitest';
import { ConnectionCount, isLoopback, type Place } from '../../../src/io/server/connectionCount.js';

const place = (given: ReturnType<ConnectionCount['take']>): Place => {
  if (typeof given === 'string') throw new Error(given);
  return given;
};

describe('ConnectionCount', () => {
  it('bounds each address by itself, and all together', () => {
    const count = new ConnectionCount({ maxConnections: 4, maxConnectionsPerAddress: 2 });
    place(count.take('192.0.2.1'));
    const second = place(count.take('192.0.2.1'));
    expect(count.take('192.0.2.1')).toBe('429 Too Many Requests');
    place(count.take('192.0.2.2'));
    place(count.take('2001:db8::1'));
    expect(count.take('192.0.2.3')).toBe('503 Service Unavailable');
    second.release();
    second.release();
    expect(count.total).toBe(3);
    place(count.take('192.0.2.1'));
  });

  it('does not count this machine, sockets without an address, nor those that have shown who they are', () => {
    const count = new ConnectionCount({ maxConnections: 100, maxConnectionsPerAddress: 1 });
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', undefined]) {
      place(count.take(address));
      place(count.take(address));
    }
    const known = place(count.take('192.0.2.1'));
    known.authenticated();
    place(count.take('192.0.2.1'));
    expect(count.take('192.0.2.1')).toBe('429 Too Many Requests');
    // Its end gives back no place of its address: it has none any more.
    known.release();
    expect(count.take('192.0.2.1')).toBe('429 Too Many Requests');
  });
});

describe('isLoopback', () => {
  it.each(['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'])('%s is', (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  it.each(['128.0.0.1', '0.0.0.0', '::', '::ffff:10.0.0.1', '127.0.0.1.example.org', '1127.0.0.1'])(
    '%s is not',
    (address) => {
      expect(isLoopback(address)).toBe(false);
    },
  );
});
