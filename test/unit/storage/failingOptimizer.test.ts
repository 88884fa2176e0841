import { describe, expect, it } from 'vitest';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { MemoryDisk } from './memoryDisk.js';
import { textOf } from './stateText.js';
import { StoredServer, type StoredServerOptions } from './storedServer.js';

/** Of the user's own, with a slot that changes before it throws at gradients of 13. */
const fragile: UserOptimizer = {
  name: 'fragile',
  slots: ['sum'],
  learningRate: 1,
  apply(parameter, gradient, [sum]) {
    for (let i = 0; i < parameter.length; i++) {
      const total = ((sum as Float32Array)[i] as number) + (gradient[i] as number);
      (sum as Float32Array)[i] = total;
      parameter[i] = (parameter[i] as number) - total;
      if (gradient[i] === 13) throw new Error('unlucky');
    }
  },
};

const OPTIONS: StoredServerOptions = {
  parameters: { a: { shape: [1] }, b: { shape: [1] } },
  optimizer: fragile,
};

/** The server as it is recovered after a kill. */
const recovered = (disk: MemoryDisk, options = OPTIONS): StoredServer =>
  StoredServer.open(disk.afterKill(), options);

describe("an optimizer of the user's that throws half-way", () => {
  it('leaves the slots as they were, so that a recovery gives the same bits', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, OPTIONS);
    const a = server.join('a');
    server.settle();
    server.push(a, [1, 13]);
    server.push(a, [0, 0]);
    server.settle();
    expect(a.others).toContainEqual(expect.objectContaining({ t: 66, seq: 1 }));
    expect(a.results).toMatchObject([{ seq: 2, outcome: 'applied', version: 1 }]);
    expect(server.values).toEqual([0, 0]);
    expect(textOf(recovered(disk).state)).toBe(textOf(server.state));
  });

  it('is replayed where BSP ends: what failed is left out again', () => {
    const disk = new MemoryDisk();
    const options = { ...OPTIONS, consistency: bsp() };
    const server = StoredServer.open(disk, options);
    const workers = ['a', 'b', 'c'].map((id) => server.join(id));
    server.settle();
    const gradients = [
      [1, 2],
      [1, 13],
      [4, 8],
    ];
    for (const [i, worker] of workers.entries()) server.push(worker, gradients[i] as number[]);
    server.settle();
    const change = server.record({ kind: 'consistency', model: ssp({ staleness: 1 }), rates: [1] });
    server.settle();
    expect(change.committed).toBe(true);
    expect(server.state.version).toBe(2);
    expect(server.values).toEqual([-6, -12]);
    expect(textOf(recovered(disk, options).state)).toBe(textOf(server.state));
  });
});
