/** The model, as the server and each worker make it, and as `pslib/tfjs` trains it. Runs in Node and in a page. */
import * as tf from '@tensorflow/tfjs';
import { fromLayersModel, type LayersTraining } from 'pslib/tfjs';

/** A model of TensorFlow.js, and what pslib needs of it. */
export interface DigitsModel {
  readonly model: tf.LayersModel;
  readonly training: LayersTraining;
}

/** 64 pixels → 32 → 10 probabilities. */
export function makeDigitsModel(learningRate = 0.005): DigitsModel {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 32, activation: 'tanh', inputShape: [64] }),
      tf.layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  const optimizer = tf.train.adam(learningRate);
  const training = fromLayersModel(model, { loss: 'sparseCategoricalCrossentropy', optimizer });
  return { model, training };
}

/** The probability of each digit for one image of 64 pixels, 0 (white) to 1 (black). */
export function probabilities(model: tf.LayersModel, pixels: Float32Array): Float32Array {
  return tf.tidy(() => {
    const output = model.predict(tf.tensor2d(pixels, [1, 64])) as tf.Tensor;
    return output.dataSync<'float32'>().slice();
  });
}
