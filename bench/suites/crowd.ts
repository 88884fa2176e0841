/** A crowd: 64 workers with a small model, on connections of two processes, against four workers. */
import { type Arrangement, measureInTurn, type Sample, workersOf } from '../driver.js';
import { availablePeers, KIB, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';

/** Rounds per second of all workers together. */
export const crowd: Suite = {
  name: 'crowd',
  about: '64 workers in 2 processes at 4 KB, against 4 workers',
  async run(context) {
    const many = context.workers?.at(-1) ?? 64;
    for (const bytes of context.sizes ?? [4 * KIB]) {
      for (const peer of await availablePeers(context, context.isQuick ? ['pslib'] : ['bareWs', 'pslib'])) {
        const inTwo = (count: number): Arrangement['workers'] =>
          [0, 1].map(() => ({ connections: count / 2, operation: 'round' }));
        const arrangements = [workersOf(4), inTwo(4), inTwo(many)].map((workers) => ({
          peer,
          model: { bytes },
          workers,
        }));
        const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
        const reading = {
          suite: 'crowd',
          case: `${sizeText(bytes)}, ${peer.title}`,
          unit: 'rounds/s',
          of: (sample: Sample) => sample.rate,
          base: 0,
          ratioTo: '4 processes',
          more: (_: Arrangement, samples: readonly Sample[]) => ({
            'p99 ms': medianOf(samples, ({ reports }) => (reports[0]?.p99Us ?? 0) / 1e3),
            'server MiB': medianOf(samples, ({ serverPeakBytes }) => serverPeakBytes / MIB),
          }),
        };
        const subjects = [
          '4 workers in 4 processes',
          '4 workers in 2 processes',
          `${many} workers in 2 processes`,
        ];
        context.report(rowsOf(reading, subjects, arrangements, outcomes));
      }
    }
  },
};
