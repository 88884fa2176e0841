import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ParameterServer, PsError } from '../../../src/index.js';
import { batchesOf, countBatch, countingServer, EPOCHS, newWorker, SIZE, tally } from './counting.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const DATA_SET = { size: SIZE, shardSize: 50, epochs: EPOCHS, shuffle: true };

/** A server on which a worker has counted a part of the first epoch, and that has ended; what it left behind. */
async function begun(): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'pslib-tasks-'));
  folders.push(dataDir);
  const server = countingServer({ dataDir });
  await server.listen();
  const run = server.tasks.dataset(DATA_SET);
  const worker = newWorker(server, 'a');
  let batches = 0;
  const trained = worker.run(
    (_parameters, batch) => {
      if (++batches === 6) throw new Error('enough');
      return { gradients: countBatch(batch) };
    },
    { dataShards: batchesOf(16) },
  );
  await expect(trained).rejects.toThrow('enough');
  await worker.close();
  await server.close();
  await expect(run.finished).rejects.toMatchObject({ code: 'PS_CLOSED' });
  return dataDir;
}

async function train(server: ParameterServer): Promise<void> {
  const worker = newWorker(server, 'b');
  await worker.run((_parameters, batch) => ({ gradients: countBatch(batch) }), { dataShards: batchesOf(16) });
  await worker.close();
}

describe('a server that was started again', () => {
  it('goes on with its data set where it was', async () => {
    const server = countingServer({ dataDir: await begun() });
    const run = server.tasks.dataset(DATA_SET);
    await server.listen();
    expect(run.progress).toMatchObject({ epoch: 0, examples: 16 + 16 + 16 + 2 + 16 });
    await train(server);
    expect(await run.finished).toMatchObject({ epochs: EPOCHS, examples: EPOCHS * SIZE, endedBy: 'epochs' });
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
    await server.close();
  });

  it.each([
    ['size', { ...DATA_SET, size: SIZE - 1 }, `size is ${SIZE - 1}, and was ${SIZE}`],
    ['shard size', { ...DATA_SET, shardSize: 40 }, 'shardSize is 40, and was 50'],
    ['number of epochs', { ...DATA_SET, epochs: 3 }, 'epochs is 3, and was 2'],
    ['order', { ...DATA_SET, shuffle: false }, 'shuffle is false, and was true'],
    [
      'source',
      { ...DATA_SET, size: undefined, items: Array(SIZE).fill(0) },
      'hasItems is true, and was false',
    ],
  ])('refuses one with another %s, changes nothing, and takes the right one', async (_name, other, text) => {
    const server = countingServer({ dataDir: await begun() });
    const errors: PsError[] = [];
    server.on('error', (error) => errors.push(error));
    await server.listen();
    const wrong = server.tasks.dataset(other as never);
    await expect(wrong.finished).rejects.toMatchObject({
      code: 'PS_INVALID_ARGUMENT',
      message: expect.stringContaining(text),
    });
    // Whoever does not wait for it hears of it too.
    expect(errors.map(({ code }) => code)).toEqual(['PS_INVALID_ARGUMENT']);
    const run = server.tasks.dataset(DATA_SET);
    await train(server);
    expect((await run.finished).endedBy).toBe('epochs');
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
    await server.close();
  });

  it('does not go through a data set once more that was gone through, unless it is asked twice', async () => {
    const dataDir = await begun();
    const first = countingServer({ dataDir });
    await first.listen();
    const run = first.tasks.dataset(DATA_SET);
    await train(first);
    const summary = await run.finished;
    await first.close();
    const server = countingServer({ dataDir });
    await server.listen();
    expect(await server.tasks.dataset(DATA_SET).finished).toEqual(summary);
    await train(server);
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
    const again = server.tasks.dataset(DATA_SET);
    await train(server);
    expect(await again.finished).toEqual(summary);
    expect(await tally(server)).toEqual({ 2: SIZE * EPOCHS });
    await server.close();
  });

  it('begins another one when the last was over', async () => {
    const dataDir = await begun();
    const first = countingServer({ dataDir });
    await first.listen();
    first.tasks.dataset(DATA_SET).stop('enough of it');
    await first.close();
    const server = countingServer({ dataDir });
    await server.listen();
    const run = server.tasks.dataset({ size: 20, shardSize: 10 });
    await train(server);
    expect(await run.finished).toMatchObject({ epochs: 1, examples: 20 });
    await server.close();
  });
});
