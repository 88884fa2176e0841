import { describe, expect, it } from 'vitest';
import { HeldShard } from '../../../src/core/tasks/heldShard.js';

const LEASE = { dataSet: 1, epoch: 2, dataShard: 3, begin: 30, end: 40, from: 32, lease: 7 };

describe('a data shard in a worker’s hands', () => {
  it('is taken from where it was counted, and is done when all of it is', () => {
    const shard = new HeldShard(LEASE);
    expect(shard.left).toBe(8);
    const [first, second] = [shard.take(5), shard.take(3)];
    expect(first.range).toEqual({ ...LEASE, from: 32, to: 37 });
    expect(second.range).toEqual({ ...LEASE, from: 37, to: 40 });
    expect(shard.left).toBe(0);
    expect(shard.settle(first, 37)).toBe('counted');
    expect(shard.settle(second, 40)).toBe('done');
  });

  it('is cut anew from where the server stands when a push did not count; what was behind it is void', () => {
    const shard = new HeldShard(LEASE);
    const [first, second] = [shard.take(2), shard.take(2)];
    expect(shard.settle(first, 32)).toBe('again');
    expect(shard.position).toBe(32);
    expect(shard.settle(second, 32)).toBe('void');
    const again = shard.take(4);
    expect(again.range).toMatchObject({ from: 32, to: 36 });
    expect(shard.settle(again, 36)).toBe('counted');
  });

  it('goes on behind what another had counted meanwhile, and is over when that was all', () => {
    const shard = new HeldShard({ ...LEASE, from: 30 });
    expect(shard.settle(shard.take(2), 35)).toBe('again');
    const next = shard.take(1);
    expect(next.range).toMatchObject({ from: 35, to: 36 });
    expect(shard.settle(next, 40)).toBe('over');
    expect(shard.left).toBe(0);
  });

  it('is cut anew from where a push began that was refused or lost', () => {
    const shard = new HeldShard(LEASE);
    shard.settle(shard.take(2), 34);
    expect(shard.settle(shard.take(2), 'lost')).toBe('again');
    expect(shard.position).toBe(34);
  });

  it('is over when the server says so, or has lost its state', () => {
    const shard = new HeldShard(LEASE);
    const [first, second] = [shard.take(2), shard.take(2)];
    expect(shard.settle(first, undefined)).toBe('over');
    expect(shard.left).toBe(0);
    expect(shard.settle(second, undefined)).toBe('void');
    const other = new HeldShard(LEASE);
    const taken = other.take(1);
    other.void();
    expect(other.left).toBe(0);
    expect(other.settle(taken, 'lost')).toBe('void');
  });
});
