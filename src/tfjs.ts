/** `pslib/tfjs`: TensorFlow.js models as models of pslib. Needs `@tensorflow/tfjs`, the caller's own copy. */

export type { Examples, LayersBatch } from './adapters/tfjs/batch.js';
export type { LayersModelOptions, LayersTraining } from './adapters/tfjs/layersModel.js';
export { fromLayersModel } from './adapters/tfjs/layersModel.js';
export type { LossFunction, LossName } from './adapters/tfjs/losses.js';
export type { TensorsByName } from './adapters/tfjs/weights.js';
