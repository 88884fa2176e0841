/** Copies of the tables of a group: each shard's part followed by itself, together the whole table. */
import { expect, it } from 'vitest';
import { LocalCopy } from '../../../src/io/worker/localCopy.js';
import { AskedWorker } from '../worker/askedWorker.js';
import { startWorker } from '../worker/bench.js';
import { startGroup, urlsOf } from './groups.js';

const parameters = { w: { shape: [6] } } as const;
const tables = { words: { dim: 2 } } as const;
type Model = typeof parameters & typeof tables;

it('has the rows of all shards, and goes on over lost connections', async () => {
  const group = await startGroup(3, { parameters, tables });
  const worker = startWorker<Model>(urlsOf(group), { id: 'w' });
  const reader = startWorker<Model>(urlsOf(group), { id: 'r', readOnly: true });
  const ids = Array.from({ length: 200 }, (_, i) => i * 7);
  const change = async (changed: readonly number[]): Promise<void> => {
    const values = Float32Array.from(changed.flatMap((id) => [1, id]));
    await worker.push({ w: new Float32Array(6).fill(1), words: { ids: changed, values } });
  };
  await change(ids);
  const asked = new AskedWorker(reader);
  const copy = new LocalCopy(asked, { tables: ['words'], withinMs: 2 });
  await copy.ready;
  expect(copy.rows('words').size).toBe(200);
  for (let round = 0; round < 4; round++) {
    reader.cut();
    await change(ids.filter((id) => id % 3 === round % 3));
    await change([100_000 + round]);
  }
  await asked.until(() => copy.version === 9);
  const all = [...copy.rows('words').ids()].sort((a, b) => a - b);
  expect(all).toEqual([...ids, 100_000, 100_001, 100_002, 100_003]);
  const { data } = await reader.pullRows('words', all);
  expect(all.flatMap((id) => [...(copy.rows('words').get(id) ?? [])])).toEqual([...data]);
  expect(copy.tensors.w?.data).toEqual((await reader.pull()).tensors.w.data);
  await copy.close();
  expect(copy.failure).toBeUndefined();
});
