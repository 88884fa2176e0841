/** pslib in a browser: the public names that need nothing of Node; a server is not among them. */

export type { Laggard, PsErrorCode, PsErrorDetails } from './core/base/errors.js';
export { PsError } from './core/base/errors.js';
export type { Aggregate } from './core/consistency/aggregate.js';
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
export type { Outcome, WaitReason } from './core/protocol/messages.js';
export type { ParameterSpec, ParameterSpecs } from './core/table/model.js';
export type { Initialiser } from './core/tensor/initialise.js';
export type { RowIdList } from './core/tensor/rowIds.js';
export type { Dtype, Tensor } from './core/tensor/tensor.js';
export type { ParameterCacheOptions, ParameterCacheStats } from './core/worker/cache/cacheStore.js';
export type { RowGradients } from './core/worker/gradients.js';
export type { Logger } from './io/logger.js';
export type {
  RecordReport,
  ServerReport,
  ServerStats,
  TableStats,
  WorkerInfo,
} from './io/serverReport.js';
export type { WebSocketConstructor, WebSocketLike } from './io/transport/webSocketConnect.js';
export type { BatchData } from './io/worker/batchSource.js';
export { Worker } from './io/worker/browser/worker.js';
export type { NotModified, PullOptions, PullResult, PushOptions, TickResult } from './io/worker/calls.js';
export type { CutDataShard, DataShard } from './io/worker/dataShards.js';
export type { CopiedFrom, LocalCopyOptions } from './io/worker/localCopy.js';
export { LocalCopy } from './io/worker/localCopy.js';
export { ParameterCache } from './io/worker/parameterCache.js';
export type { DestinationsOf, GradientsOf, TensorsOf } from './io/worker/parameters.js';
export type { PullRowsOptions, Rows, RowsOf } from './io/worker/rows.js';
export type { RowsOfBatch } from './io/worker/rowsAhead.js';
export type { RunSummary } from './io/worker/runSummary.js';
export type { WorkerUrl } from './io/worker/serverUrls.js';
export type { TaskContext, TaskHandler, TasksOptions, TasksSummary } from './io/worker/taskRunner.js';
export type {
  GradientFunction,
  GradientResult,
  PushResult,
  RunOptions,
  ShardPushResult,
  Step,
  StepContext,
} from './io/worker/training.js';
export type { WatchOptions, WatchResult } from './io/worker/watch.js';
export type { RowChanges, WatchRowsOptions } from './io/worker/watchRows.js';
export type {
  OpenEvent,
  ReconnectingEvent,
  RollbackEvent,
  StepEvent,
  WaitingEvent,
  WorkerEvents,
} from './io/worker/workerEvents.js';
export type {
  ReconnectOptions,
  WorkerLimits,
  WorkerOptions,
  WorkerToken,
} from './io/worker/workerOptions.js';
