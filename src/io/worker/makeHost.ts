/** A worker's core, for one server or for a group, and the host that runs it, from the worker's options. */
import { referenceSumSquares } from '../../core/kernels/referenceSumSquares.js';
import { referenceZeroNonFinite } from '../../core/kernels/referenceVector.js';
import type { WorkerObservation } from '../../core/worker/events.js';
import type { GradientKernels } from '../../core/worker/group/gradientCheck.js';
import { GroupCore, type GroupCoreOptions } from '../../core/worker/group/groupCore.js';
import { WorkerCore, type WorkerCoreOptions } from '../../core/worker/workerCore.js';
import type { WorkerMachine } from '../../core/worker/workerMachine.js';
import { randomHex } from '../randomHex.js';
import { webSocketConnect } from '../transport/webSocketConnect.js';
import type { Platform } from './platform.js';
import { WorkerHost } from './workerHost.js';
import type { CheckedWorkerOptions } from './workerOptions.js';

/** The host of the worker `id`, which has handled no event. */
export function makeHost(
  id: string,
  options: CheckedWorkerOptions,
  { connect, gradientKernels = plainGradientKernels, watchesOneServer = false, movingGroup }: Platform,
  observe: (observation: WorkerObservation) => void,
): WorkerHost {
  const { readOnly, reconnect, connectTimeoutMs, limits, trustedNetwork, tls, WebSocket } = options;
  const core: WorkerCoreOptions = {
    id,
    session: randomHex(16),
    readOnly,
    seed: Number.parseInt(randomHex(4), 16),
    reconnect,
    connectTimeoutMs,
    limits,
    isMember: watchesOneServer,
  };
  const ofGroup = (parts: GroupCoreOptions): WorkerMachine =>
    options.mayMove && movingGroup !== undefined ? movingGroup(parts) : new GroupCore(parts);
  const machine = options.mayBeGroup
    ? ofGroup({ ...core, kernels: gradientKernels() })
    : new WorkerCore(core);
  const dialling = {
    connect: WebSocket === undefined ? connect : webSocketConnect(WebSocket),
    url: options.url,
    token: options.token,
    maxMessageBytes: limits.maxMessageBytes,
    trustedNetwork,
    tls,
  };
  return new WorkerHost(options.cache?.before(machine) ?? machine, dialling, observe);
}

/** How a worker of a group looks at its gradients where there is nothing faster. */
function plainGradientKernels(): GradientKernels {
  return { sumSquares: referenceSumSquares, zeroNonFinite: referenceZeroNonFinite };
}
