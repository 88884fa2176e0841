/** The `Worker` of Node: connects by pslib's own transports, unless it is given a WebSocket constructor. */

import { loadKernels } from '../../../core/kernels/loadKernels.js';
import type { Tensor } from '../../../core/tensor/tensor.js';
import { RegroupingCore } from '../../../core/worker/group/regroupingCore.js';
import { nodeConnect } from '../../transport/nodeConnect.js';
import type { Platform } from '../platform.js';
import type { WorkerUrl } from '../serverUrls.js';
import { WorkerBase } from '../workerBase.js';
import type { WorkerOptions } from '../workerOptions.js';

/** Memory in which kernels look at gradients, block by block. */
const SCRATCH_BYTES = 1_048_576;

/**
 * A worker of a parameter server: pulls parameters, pushes gradients. `P` names the parameters, as in
 * `new Worker<typeof parameters>(url)`.
 */
export class Worker<P = Record<string, Tensor>> extends WorkerBase<P> {
  /** Throws `PS_INVALID_ARGUMENT` for a wrong url or option, by its name. Connects to nothing yet. */
  constructor(url: WorkerUrl, options: WorkerOptions = {}) {
    const platform: Platform = {
      connect: nodeConnect,
      gradientKernels: () => loadKernels(SCRATCH_BYTES).kernels,
      movingGroup: (core) => new RegroupingCore(core),
    };
    super(platform, url, options);
  }
}
