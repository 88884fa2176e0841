/** `pslib/testing`: the simulator, for every runtime. Consistency models and optimizers come from `pslib`. */

export { PsError } from './core/base/errors.js';
export {
  between,
  type ComputeMs,
  logNormal,
  type RandomSource,
  withStalls,
} from './testing/simulate/computeTimes.js';
export type { Distribution } from './testing/simulate/distribution.js';
export {
  type SimulatedWorkerResult,
  type SimulationResult,
  simulate,
} from './testing/simulate/simulate.js';
export type { SimulatedFault } from './testing/simulate/simulatedFaults.js';
export type {
  SimulatedNetwork,
  SimulatedPlace,
  SimulatedTraining,
  SimulatedWorkers,
  SimulationOptions,
} from './testing/simulate/simulationOptions.js';
