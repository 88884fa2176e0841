import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { ParameterServer, Worker } from '../../../src/index.js';

const dataDir = mkdtempSync(join(tmpdir(), 'pslib-clock-'));

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dataDir, { recursive: true, force: true });
});

it('the time of day may jump by years, back and forth: no lease, wait or checkpoint goes by it', async () => {
  let jumps = 0;
  const jumping = (): number => (jumps++ % 2 === 0 ? 1e9 : 4e12);
  vi.spyOn(Date, 'now').mockImplementation(jumping);
  const parameters = { w: { shape: [4] } } as const;
  const server = new ParameterServer({ parameters, port: 0, dataDir });
  const left: string[] = [];
  const checkpoints: string[] = [];
  server.on('worker:leave', ({ reason }) => left.push(reason));
  server.on('checkpoint', ({ path }) => checkpoints.push(path));
  await server.listen();
  const worker = new Worker<typeof parameters>(server.url, { id: 'a' });
  const lost: unknown[] = [];
  worker.on('reconnecting', ({ error }) => lost.push(error));
  const { steps } = await worker.run(() => ({ gradients: { w: new Float32Array(4).fill(1) } }), {
    steps: 200,
  });
  await worker.close();
  expect([steps, server.stats().version]).toEqual([200, 200]);
  await server.close();
  expect([left, lost, checkpoints]).toEqual([['goodbye'], [], []]);
}, 300_000);
