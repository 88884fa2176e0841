import { describe, expect, test } from 'vitest';
import { asp, bsp, type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { DataWorker } from './dataWorker.js';
import { SimGroup } from './simGroup.js';

const SEEDS = Number(process.env.PSLIB_GROUP_SEEDS ?? 8);
const WORKERS = 3;
const SPAN_MS = 1_500;

type Fault = 'reset' | 'killShard' | 'stopWorker' | 'killWorker';

/** Runs a data set on a group with faults of these kinds, and returns it. */
function run(seed: number, count: number, consistency: Consistency, faults: readonly Fault[]): SimGroup {
  const dataSet = { size: 30, shardSize: 8, epochs: 3, shuffle: false, seed, hasItems: false };
  const options = { seed, count, workers: WORKERS, steps: 0, consistency, durability: 'journal' } as const;
  const group = new SimGroup({ ...options, data: { dataSet, pauseMs: 1, leaseMs: 500 } });
  const workers = Array.from({ length: WORKERS }, (_, k) => new DataWorker(group, `worker-${k}`, 3));
  for (const worker of workers) group.timeline.at(0, () => worker.start());
  group.isDone = () => workers.every(({ isDone }) => isDone) && group.timeline.now > SPAN_MS;
  const random = group.random.fork('faults');
  for (let at = 0; at < SPAN_MS && faults.length > 0; at += random.nextInt(150)) {
    const fault = faults[random.nextInt(faults.length)] as Fault;
    group.timeline.at(at, () => inject(group, workers, fault));
  }
  const isDone = group.run();
  const where = `seed ${seed}, ${count} servers, ${consistency.name}`;
  expect(group.violations, where).toEqual([]);
  expect(isDone, `${where}: everyone finishes`).toBe(true);
  return group;
}

function inject({ random, timeline, network, servers }: SimGroup, workers: DataWorker[], fault: Fault): void {
  const worker = workers[random.nextInt(WORKERS)] as DataWorker;
  const isLost = random.nextInt(2) === 0;
  if (fault === 'reset') {
    const open = network.connections();
    if (open.length === 0) return;
    const ends = {
      up: isLost ? 'lost' : 'arrives',
      down: random.nextInt(2) === 0 ? 'lost' : 'arrives',
    } as const;
    open[random.nextInt(open.length)]?.link.reset({
      ...ends,
      nearMs: random.nextInt(20),
      farMs: random.nextInt(20),
    });
  } else if (fault === 'killShard') {
    const server = servers[random.nextInt(servers.length)];
    if (server?.listening === undefined) return;
    server.kill(isLost);
    timeline.after(random.nextInt(400), () => server.start());
  } else if (fault === 'stopWorker') {
    const { process } = worker;
    process?.stop();
    timeline.after(random.nextInt(6_000), () => process?.resume());
  } else {
    const { process } = worker;
    if (process?.isAlive !== true || worker.isDone) return;
    worker.kill(isLost);
    timeline.after(random.nextInt(400), () => worker.start());
  }
}

const models: Consistency[] = [ssp({ staleness: 0 }), ssp({ staleness: 2 }), asp()];

describe.each([1, 2, 3])('data shards of a group of %i, simulated', (count) => {
  const seeds = Array.from({ length: SEEDS }, (_, i) => i + 1);

  test.each<[string, readonly Fault[]]>([
    ['in peace', []],
    ['while connections break', ['reset']],
    ['while shards are killed', ['killShard', 'reset']],
    ['while workers are killed and stop', ['killWorker', 'stopWorker']],
    ['while anything goes wrong', ['reset', 'killShard', 'stopWorker', 'killWorker']],
  ])('count every example once in every epoch, on every shard, %s', (_name, faults) => {
    for (const consistency of models) {
      for (const seed of seeds) {
        for (const values of run(seed, count, consistency, faults).values) {
          expect([...values], `seed ${seed}, ${consistency.name}`).toEqual(Array(90).fill(1));
        }
      }
    }
  });

  test('under BSP no example is left out', () => {
    for (const seed of seeds) {
      // The updates of a clock are divided by the workers that pushed in it.
      for (const values of run(seed, count, bsp(), ['reset', 'killShard']).values) {
        expect(
          [...values].every((value) => [1, 1 / 2, Math.fround(1 / 3)].includes(value)),
          `seed ${seed}`,
        ).toBe(true);
      }
    }
  });
});
