/**
 * The round: pull the whole model, push a gradient of the same size, have it applied and acknowledged.
 * pslib against raw TCP, and against what a Node developer would use instead.
 */
import { type Arrangement, measureInTurn, type Sample, workersOf } from '../driver.js';
import { availablePeers, type Context, KIB, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';

const PEERS = ['rawC', 'rawNet', 'bareWs', 'naive', 'grpc', 'redis', 'pslib', 'pslibPushPull'];
const QUICK_PEERS = ['rawC', 'bareWs', 'naive', 'pslib', 'pslibPushPull'];
const SIZES = [4 * KIB, MIB, 16 * MIB, 100 * MIB];
/** From here on a slow peer takes seconds for what others do in tenths. */
const LARGE_BYTES = 8 * MIB;

/** Rounds per second by size and number of workers. */
export const round: Suite = {
  name: 'round',
  about: 'pull + push of the whole model, by size and workers, against every peer',
  async run(context) {
    const peers = await availablePeers(context, context.isQuick ? QUICK_PEERS : PEERS);
    for (const bytes of context.sizes ?? (context.isQuick ? SIZES.slice(0, 3) : SIZES)) {
      for (const workers of context.workers ?? (context.isQuick ? [1] : [1, 4])) {
        const fit = peers.filter(({ isSlow, maxWorkers = Number.POSITIVE_INFINITY }) => {
          const isTooSlow = isSlow && workers > 1 && bytes >= LARGE_BYTES && context.peers === undefined;
          return workers <= maxWorkers && !isTooSlow;
        });
        const arrangements = fit.map((peer) => ({ peer, model: { bytes }, workers: workersOf(workers) }));
        await compare(context, bytes, workers, arrangements);
      }
    }
  },
};

async function compare(
  context: Context,
  bytes: number,
  workers: number,
  arrangements: Arrangement[],
): Promise<void> {
  const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
  const base = arrangements.findIndex(({ peer }) => peer.name === 'rawC');
  const reading = {
    suite: 'round',
    case: `${sizeText(bytes)}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    unit: 'rounds/s',
    of: (sample: Sample) => sample.rate,
    ...(base >= 0 && { base, ratioTo: 'raw C' }),
    more: (_: Arrangement, samples: readonly Sample[]) => ({
      'GB/s': (medianOf(samples, ({ rate }) => rate) * 2 * bytes) / 1e9,
      'p50 ms': medianOf(samples, ({ reports }) => (reports[0]?.p50Us ?? 0) / 1e3),
      'p99 ms': medianOf(samples, ({ reports }) => (reports[0]?.p99Us ?? 0) / 1e3),
      // What a round costs in processor time: says more than its time where other programs run.
      'server CPU ms': medianOf(samples, ({ serverLoad, rate }) => (serverLoad / rate) * 1e3),
      'worker CPU ms': medianOf(samples, ({ workerLoad, rate }) => (workerLoad / rate) * 1e3),
      'server MiB': medianOf(samples, ({ serverPeakBytes }) => serverPeakBytes / MIB),
    }),
  };
  context.report(
    rowsOf(
      reading,
      arrangements.map(({ peer }) => peer.title),
      arrangements,
      outcomes,
    ),
  );
}
