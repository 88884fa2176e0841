/** Many tensors: cost should grow with bytes, not with the number of tensors that they are divided into. */
import { measureInTurn, type Sample, workersOf } from '../driver.js';
import { availablePeers, MIB, rowsOf, type Suite, sizeText } from '../suite.js';

/** Rounds per second of one model in one tensor and in a thousand. */
export const manyTensors: Suite = {
  name: 'many-tensors',
  about: '100 MB as 1,000 tensors, against one tensor',
  async run(context) {
    for (const bytes of context.sizes ?? [context.isQuick ? 16 * MIB : 100 * MIB]) {
      for (const peer of await availablePeers(context, ['pslib'])) {
        const counts = [1, 1000];
        const arrangements = counts.map((tensors) => ({
          peer,
          model: { bytes, tensors },
          workers: workersOf(1),
        }));
        const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
        const reading = {
          suite: 'many-tensors',
          case: `${sizeText(bytes)}, 1 worker, ${peer.title}`,
          unit: 'rounds/s',
          of: (sample: Sample) => sample.rate,
          base: 0,
          ratioTo: '1 tensor',
        };
        context.report(rowsOf(reading, ['1 tensor', '1,000 tensors'], arrangements, outcomes));
      }
    }
  },
};
