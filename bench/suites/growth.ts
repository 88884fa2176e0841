/** Memory growth: what the server holds after ten thousand rounds that it did not hold after the first few. */
import { memoryOf } from '../childProcess.js';
import { type Arrangement, type Ground, withProcesses, workersOf } from '../driver.js';
import { spreadOf } from '../statistics.js';
import { availablePeers, MIB, type Suite, sizeText } from '../suite.js';

const TENTHS = 10;

/** Resident memory of the server over many rounds. */
export const growth: Suite = {
  name: 'growth',
  about: "the server's memory over 10,000 rounds of 1 MB",
  async run(context) {
    const rounds = context.isQuick ? 1000 : 10_000;
    for (const bytes of context.sizes ?? [MIB]) {
      for (const peer of await availablePeers(context, ['pslib'])) {
        const arrangement = { peer, model: { bytes }, workers: workersOf(1) };
        const row = {
          suite: 'growth',
          case: `${sizeText(bytes)}, 1 worker, ${rounds.toLocaleString('en')} rounds`,
          subject: peer.title,
          unit: 'MiB grown',
        };
        try {
          const { residentMiB, peakMiB } = await residentOver(context.ground, arrangement, rounds);
          // The first tenth warms up; after that, the middle of three tenths against that of the last three.
          const early = spreadOf(residentMiB.slice(1, 4)).median;
          const late = spreadOf(residentMiB.slice(-3)).median;
          const more = { 'early MiB': early, 'late MiB': late, 'peak MiB': peakMiB };
          context.report([{ ...row, value: spreadOf([late - early]), more, isChecked: true }]);
        } catch (error) {
          context.report([{ ...row, isChecked: false, failure: String(error) }]);
        }
      }
    }
  },
};

/** The server's resident memory after each tenth of the rounds, and its peak. */
function residentOver(
  ground: Ground,
  arrangement: Arrangement,
  rounds: number,
): Promise<{ residentMiB: number[]; peakMiB: number }> {
  return withProcesses(ground, arrangement, async ({ serverPids: [pid = 0], workers: [worker] }) => {
    const residentMiB: number[] = [];
    for (let tenth = 0; tenth < TENTHS; tenth++) {
      await worker?.ask(`repeat ${rounds / TENTHS}`);
      residentMiB.push(memoryOf(pid).nowBytes / MIB);
    }
    const peakMiB = memoryOf(pid).peakBytes / MIB;
    await worker?.ask(`check ${rounds}`);
    return { residentMiB, peakMiB };
  });
}
