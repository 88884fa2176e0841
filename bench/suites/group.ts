/**
 * Groups: a model held by several servers beside one server that holds it all, with workers in processes of their
 * own: rounds per second, and what a round costs all servers together.
 */
import { type Arrangement, measureInTurn, type Sample, workersOf } from '../driver.js';
import { availablePeers, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';

const PEERS = ['pslib', 'pslibGroup2', 'pslibGroup3'];

/** Rounds at a group, and their cost. */
export const group: Suite = {
  name: 'group',
  about: 'a model held by 1, 2 and 3 servers: rounds, and processor time of all servers',
  async run(context) {
    const peers = await availablePeers(context, context.isQuick ? PEERS.slice(0, 2) : PEERS);
    for (const bytes of context.sizes ?? (context.isQuick ? [16 * MIB] : [16 * MIB, 100 * MIB])) {
      for (const workers of context.workers ?? [1, 2]) {
        const arrangements = peers.map((peer) => ({ peer, model: { bytes }, workers: workersOf(workers) }));
        const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
        const name = `${sizeText(bytes)}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
        const subjects = peers.map(({ title }) => title);
        const rate = {
          suite: 'group',
          case: name,
          unit: 'rounds/s',
          of: (sample: Sample) => sample.rate,
          base: 0,
          ratioTo: '1 server',
          more: (_: Arrangement, samples: readonly Sample[]) => ({
            'server MiB': medianOf(samples, ({ serverPeakBytes }) => serverPeakBytes / MIB),
          }),
        };
        context.report(rowsOf(rate, subjects, arrangements, outcomes));
        const cost = {
          suite: 'group',
          case: `${name}, all servers`,
          unit: 'CPU ms/round',
          of: (sample: Sample) => (1e3 * sample.serverLoad) / sample.rate,
          base: 0,
          ratioTo: '1 server',
        };
        context.report(rowsOf(cost, subjects, arrangements, outcomes));
      }
    }
  },
};
