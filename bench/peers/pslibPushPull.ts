/** pslib with `pushPull`: the push, its tick and the next pull in one exchange. */
import type { Peer } from '../peer.js';
import { PslibWorker, servePslib } from './pslib.js';

/** pslib, one exchange a round. */
export const peer: Peer = {
  name: 'pslibPushPull',
  title: 'pslib, pushPull in one exchange',
  applies: true,
  serve: servePslib,
  async connect(plan) {
    const connected = await PslibWorker.connect(plan);
    return {
      ...connected.operations(),
      async round() {
        await connected.worker.pushPull(connected.gradients, { into: connected.into });
      },
    };
  },
};
