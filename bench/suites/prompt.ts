/**
 * Promptness: how long a 4 KB pull takes while another worker moves a large model through the same server
 * in a loop, and how long the server's event loop is busy at a stretch.
 */
import { type Arrangement, measureInTurn, type Sample } from '../driver.js';
import { availablePeers, KIB, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';
import type { WorkerReport } from '../worker.js';

const SMALL_BYTES = 4 * KIB;
/** Pulls leave the connection idle in between, as a service that watches its parameters does. */
const PAUSE = { stepMs: 2, slowFactor: 1, slowShare: 0, seed: 0 };
/** A 1 GB round may take seconds. */
const MEASURE_MS = 5000;

/** The 99th percentile of small pulls beside large rounds. */
export const prompt: Suite = {
  name: 'prompt',
  about: '4 KB pulls while another worker moves a 1 GB model; stalls of the server',
  async run(context) {
    const timing = context.isQuick
      ? context.timing
      : { ...context.timing, measureMs: Math.max(MEASURE_MS, context.timing.measureMs) };
    for (const bytes of context.sizes ?? [context.isQuick ? 64 * MIB : 1024 * MIB]) {
      for (const peer of await availablePeers(context, ['pslib'])) {
        // The large worker is the first one: it checks the result.
        const model = { bytes, smallBytes: SMALL_BYTES };
        const small = { connections: 1, operation: 'pullSmall', pace: PAUSE } as const;
        const large = { connections: 1, operation: 'round' } as const;
        const arrangements: Arrangement[] = [
          { peer, model, workers: [small], watchesEventLoop: true },
          { peer, model, workers: [large, small], watchesEventLoop: true },
        ];
        const outcomes = await measureInTurn(context.ground, arrangements, timing);
        const us = (samples: readonly Sample[], field: keyof WorkerReport): number =>
          medianOf(samples, ({ reports }) => (reports.at(-1)?.[field] ?? 0) / 1e3);
        const reading = {
          suite: 'prompt',
          case: `4 KB pulls beside rounds of ${sizeText(bytes)}, ${peer.title}`,
          unit: 'p99 ms',
          of: ({ reports }: Sample) => (reports.at(-1)?.p99Us ?? 0) / 1e3,
          more: (_: Arrangement, samples: readonly Sample[]) => ({
            'p50 ms': us(samples, 'p50Us'),
            'max ms': us(samples, 'maxUs'),
            'stall p99 ms': medianOf(samples, ({ stallP99Ms = 0 }) => stallP99Ms),
            'stall max ms': medianOf(samples, ({ stallMaxMs = 0 }) => stallMaxMs),
            'large rounds/s': medianOf(
              samples,
              ({ reports }) => (reports.length > 1 ? reports[0]?.rate : 0) ?? 0,
            ),
            'server MiB': medianOf(samples, ({ serverPeakBytes }) => serverPeakBytes / MIB),
          }),
        };
        context.report(rowsOf(reading, ['alone', 'beside the large rounds'], arrangements, outcomes));
      }
    }
  },
};
