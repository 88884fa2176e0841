/** pslib in Node: the public names, and nothing else. */

export type { Laggard, PsErrorCode, PsErrorDetails } from './core/base/errors.js';
export { PsError } from './core/base/errors.js';
export type { AspModel, BspModel, Consistency, SspModel } from './core/consistency/consistency.js';
export { asp, bsp, ssp } from './core/consistency/consistency.js';
export type { DelayOptions } from './core/consistency/delayPolicy.js';
export { adagrad } from './core/optim/adagrad.js';
export { adam } from './core/optim/adam.js';
export { adamw } from './core/optim/adamw.js';
export { ftrl } from './core/optim/ftrl.js';
export type { LearningRate } from './core/optim/learningRate.js';
export { momentum } from './core/optim/momentum.js';
export { nesterov } from './core/optim/nesterov.js';
export type { ApplyInfo, BuiltInOptimizer, Optimizer, UserOptimizer } from './core/optim/optimizer.js';
export { rmsprop } from './core/optim/rmsprop.js';
export { sgd } from './core/optim/sgd.js';
export type { LeaveReason } from './core/server/events.js';
export type { ParameterSpec, ParameterSpecs } from './core/table/model.js';
export type { Initialiser } from './core/tensor/initialise.js';
export type { Dtype, Tensor } from './core/tensor/tensor.js';
export type { ServerStats } from './io/server/parameterServer.js';
export { ParameterServer } from './io/server/parameterServer.js';
export type { ParameterServerEvents } from './io/server/serverEvents.js';
export type { LimitOptions, Logger, ParameterServerOptions } from './io/server/serverOptions.js';
export type { Snapshot } from './io/server/snapshot.js';
export type { WorkerInfo } from './io/server/workerInfo.js';
