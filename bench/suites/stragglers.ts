/**
 * Stragglers: eight workers whose steps take time, some of them five times as long. How long a clock takes
 * under each consistency model, all workers' clocks counted. Steps sleep: they need no processor.
 */
import type { WorkerPlan } from '../child.js';
import { type Arrangement, measureInTurn, type Sample } from '../driver.js';
import { availablePeers, KIB, rowsOf, type Suite } from '../suite.js';
import type { Pace } from '../worker.js';

const MODELS = ['bsp', 'ssp', 'asp'] as const;
const TITLES = ['BSP', 'SSP(3)', 'ASP'];
const STEP: Pace = { stepMs: 10, slowFactor: 5, slowShare: 0, seed: 1 };
const WORKERS = 8;

/** Who is slow: each now and then, or one always. Seeds differ, so that nobody is slow in step. */
const SCENARIOS: readonly { readonly title: string; readonly workers: WorkerPlan[] }[] = [
  {
    title: 'each step 5 × slower with probability 1/8',
    workers: [0, 1].map((k) => ({
      connections: WORKERS / 2,
      operation: 'round',
      pace: { ...STEP, slowShare: 1 / 8, seed: 1 + 100 * k },
    })),
  },
  {
    title: 'one worker 5 × slower for good',
    workers: [
      { connections: WORKERS - 1, operation: 'round', pace: STEP },
      { connections: 1, operation: 'round', pace: { ...STEP, slowShare: 1 } },
    ],
  },
];

/** Time per clock under BSP, SSP and ASP. */
export const stragglers: Suite = {
  name: 'stragglers',
  about: '8 workers with slow steps: time for equal clocks under BSP, SSP(3), ASP',
  async run(context) {
    const timing = { ...context.timing, measureMs: context.isQuick ? 700 : 4000 };
    for (const peer of await availablePeers(context, ['pslib'])) {
      for (const { title, workers } of SCENARIOS) {
        const arrangements: Arrangement[] = MODELS.map((consistency) => ({
          peer,
          model: { bytes: 4 * KIB },
          workers,
          serve: { consistency, minWorkers: WORKERS },
          ticks: true,
        }));
        const outcomes = await measureInTurn(context.ground, arrangements, timing);
        const reading = {
          suite: 'stragglers',
          case: `${WORKERS} workers, steps of ${STEP.stepMs} ms, ${title}`,
          unit: 'ms per clock of all',
          of: ({ rate }: Sample) => (1e3 * WORKERS) / rate,
          base: 0,
          ratioTo: 'BSP',
        };
        context.report(rowsOf(reading, TITLES, arrangements, outcomes));
      }
    }
  },
};
