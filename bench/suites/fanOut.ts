/** Fan-out: sixteen workers that pull one version of a model, beside one that does. Nobody pushes. */
import { type Arrangement, measureInTurn, type Sample, workersOf } from '../driver.js';
import { availablePeers, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';

/** Pulls per second of many workers. */
export const fanOut: Suite = {
  name: 'fan-out',
  about: '16 workers pulling one version of a 16 MB model, against 1',
  async run(context) {
    const many = context.workers?.at(-1) ?? 16;
    for (const bytes of context.sizes ?? [16 * MIB]) {
      for (const peer of await availablePeers(context, context.isQuick ? ['pslib'] : ['rawC', 'pslib'])) {
        const counts = [1, many];
        const arrangements = counts.map((count) => ({
          peer,
          model: { bytes },
          workers: workersOf(count, 'pull'),
        }));
        const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
        const reading = {
          suite: 'fan-out',
          case: `${sizeText(bytes)}, pulls only, ${peer.title}`,
          unit: 'pulls/s',
          of: (sample: Sample) => sample.rate,
          base: 0,
          ratioTo: '1 worker',
          more: (_: Arrangement, samples: readonly Sample[]) => ({
            'GB/s': (medianOf(samples, ({ rate }) => rate) * bytes) / 1e9,
            'server MiB': medianOf(samples, ({ serverPeakBytes }) => serverPeakBytes / MIB),
          }),
        };
        const subjects = counts.map((count) => `${count} ${count === 1 ? 'worker' : 'workers'}`);
        context.report(rowsOf(reading, subjects, arrangements, outcomes));
      }
    }
  },
};
