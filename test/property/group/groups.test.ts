import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/core/base/random.js';
import { asp, bsp, type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { SHARED, SimGroup, type SimGroupOptions } from './simGroup.js';

const COUNTS = [1, 2, 3, 5];
const SEEDS = Number(process.env.PSLIB_GROUP_SEEDS ?? 6);

/** Runs a group with `faults`, and expects that everyone finishes and every push counts once on every shard. */
function check(options: SimGroupOptions, faults: (group: SimGroup) => void): SimGroup {
  const group = new SimGroup(options);
  faults(group);
  const finished = group.run();
  const where = `seed ${options.seed}, ${options.count} servers, ${options.consistency.name}`;
  expect(group.violations, where).toEqual([]);
  expect(finished, `${where}: everyone finishes`).toBe(true);
  return group;
}

function expectSums(group: SimGroup): void {
  const { workers, steps } = group.options;
  const expected = [...Array<number>(workers).fill(steps), workers * steps];
  for (const values of group.values) expect([...values], `seed ${group.options.seed}`).toEqual(expected);
}

/** Does `fault` again and again, at random times, for `untilMs`. */
function often(group: SimGroup, everyMs: number, untilMs: number, fault: (random: Random) => void): void {
  const random = group.random.fork('faults').fork(everyMs);
  for (let at = 0; at < untilMs; at += everyMs * 2 * random.nextFloat())
    group.timeline.at(at, () => fault(random));
}

/** Connections break, of one worker to one shard. */
function resets(group: SimGroup): void {
  often(group, 60, 3_000, (random) => {
    const open = group.network.connections();
    const inFlight = (): 'arrives' | 'lost' => (random.nextInt(2) === 0 ? 'arrives' : 'lost');
    const noticed = { nearMs: random.nextInt(20), farMs: random.nextInt(20) };
    if (open.length > 0)
      open[random.nextInt(open.length)]?.link.reset({ up: inFlight(), down: inFlight(), ...noticed });
  });
}

/** One shard is killed and starts again with what it has on disk. */
function kills(group: SimGroup): void {
  often(group, 400, 3_000, (random) => {
    const server = group.servers[random.nextInt(group.servers.length)];
    if (server?.listening === undefined) return;
    server.kill(random.nextInt(2) === 0);
    group.timeline.after(random.nextInt(800), () => server.start());
  });
}

/** Workers stop for longer than their lease: shards evict them, one sooner than another. */
function stops(group: SimGroup): void {
  often(group, 900, 5_000, (random) => {
    const { process } = group.workers[random.nextInt(group.workers.length)] as SimGroup['workers'][number];
    process.stop();
    group.timeline.after(random.nextInt(6_000), () => process.resume());
  });
}

const models: Consistency[] = [ssp({ staleness: 0 }), ssp({ staleness: 2 }), asp()];

describe.each(COUNTS)('a group of %i, simulated', (count) => {
  const seeds = Array.from({ length: SEEDS }, (_, i) => i + 1);
  const options = (seed: number, consistency: Consistency): SimGroupOptions => {
    return { seed, count, workers: 3, steps: 15, consistency, durability: 'journal' };
  };

  test.each(models)('keeps its bounds, and sees its own pushes at every shard, under %o', (consistency) => {
    for (const seed of seeds) expectSums(check(options(seed, consistency), () => {}));
  });

  test.each(models)('the same while connections break, under %o', (consistency) => {
    for (const seed of seeds) expectSums(check(options(seed, consistency), resets));
  });

  test('applies every push once at every shard while shards are killed', () => {
    for (const seed of seeds) expectSums(check(options(seed, asp()), kills));
    for (const seed of seeds)
      expectSums(
        check(options(seed, ssp({ staleness: 1 })), (group) => {
          kills(group);
          resets(group);
        }),
      );
  });

  test('counts every push once in every row, spread over the shards, whatever breaks', () => {
    for (const seed of seeds) {
      const group = check({ ...options(seed, ssp({ staleness: 1 })), hasRows: true }, (each) => {
        kills(each);
        resets(each);
      });
      expectSums(group);
      const { workers, steps } = group.options;
      for (let k = 0; k < workers; k++) expect(group.rowsOf(k)).toEqual(Array(16).fill(steps));
      expect(group.rowsOf(SHARED)).toEqual(Array(16).fill(workers * steps));
    }
  });

  test.each([1, 3])('serves from caches what a staleness of %i allows, whatever breaks', (staleness) => {
    let hits = 0;
    for (const seed of seeds) {
      const cached = { ...options(seed, ssp({ staleness })), hasRows: true, hasCache: true };
      for (const faults of [() => {}, resets, kills, stops]) {
        const group = check(cached, faults);
        expectSums(group);
        for (const { stats } of group.caches) hits += stats.hits;
      }
    }
    expect(hits).toBeGreaterThan(20 * seeds.length);
  });

  test('gives, under BSP, rows the bits of one server', () => {
    for (const seed of seeds) {
      const group = check({ ...options(seed, bsp()), hasRows: true }, resets);
      const alone = check({ ...options(seed, bsp()), hasRows: true, count: 1 }, () => {});
      for (const k of [0, 1, 2, SHARED]) expect(group.rowsOf(k)).toEqual(alone.rowsOf(k));
    }
  });

  test('goes on when shards evict workers', () => {
    for (const seed of seeds) expectSums(check(options(seed, asp()), stops));
  });

  test.skipIf(count === 1).each([...models, bsp()])(
    'a worker that one shard lost stops nobody, under %o',
    (consistency) => {
      for (const seed of seeds) {
        const group = check(options(seed, consistency), ({ network, timeline, servers, workers, random }) => {
          const lost = servers[random.nextInt(count)] as SimGroup['servers'][number];
          timeline.at(200, () => network.cutOff('worker-0', 60_000, lost));
          timeline.at(30_000, () => {
            expect(
              workers.map(({ isDone }) => isDone),
              `seed ${seed}`,
            ).toEqual([false, true, true]);
            for (const { core } of servers) expect(core.state.clocks.size, `seed ${seed}`).toBe(0);
          });
        });
        if (consistency.name !== 'bsp') expectSums(group);
      }
    },
  );

  test('gives, under BSP, the bits of one server', () => {
    for (const seed of seeds) {
      const group = check(options(seed, bsp()), resets);
      const alone = check({ ...options(seed, bsp()), count: 1 }, () => {});
      for (const values of group.values) expect(values).toEqual(alone.values[0]);
    }
  });
});

describe('a shard without durability', () => {
  test('that starts afresh is a rollback at that shard alone', () => {
    const group = new SimGroup({
      seed: 3,
      count: 3,
      workers: 1,
      steps: 12,
      consistency: asp(),
      durability: 'memory',
    });
    const [worker] = group.workers;
    group.timeline.at(60, () => {
      group.servers[1]?.kill(false);
      group.servers[1]?.start();
    });
    group.run();
    const rollbacks = worker?.observations.flatMap((each) => (each.kind === 'rollback' ? [each] : [])) ?? [];
    expect(rollbacks.length).toBe(1);
    expect(rollbacks[0]?.rollback.startedAfresh).toBe(true);
    expect(rollbacks[0]?.server).toBeTypeOf('number');
    const [first, second, third] = group.values.map((values) => values[0] as number);
    expect(first).toBe(third);
    expect(second).toBeLessThan(first as number);
  });
});
