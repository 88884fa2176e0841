/**
 * The model behind the predictions: minutes = weights · (kilometres, items) / scale + bias, fitted
 * by least squares. Plain functions; pslib is not needed here.
 */
import type { Tensor } from 'pslib';
import type { Delivery, Order } from './deliveries.js';

/** The parameters, as `new ParameterServer({ parameters })` takes them: all zero at first. */
export const deliveryParameters = {
  weights: { shape: [2] },
  bias: { shape: [1] },
} as const;

/** The values of the parameters, as `pull`, `watch` and `run` give them. */
export type DeliveryParameters = Readonly<Record<keyof typeof deliveryParameters, Pick<Tensor, 'data'>>>;

type DeliveryGradient = Record<keyof typeof deliveryParameters, Float32Array>;

/** The minutes that the model expects. */
export function predictMinutes({ weights, bias }: DeliveryParameters, order: Order): number {
  const [perKilometre = 0, perItem = 0] = weights.data;
  const [kilometres, items] = scaled(order);
  return perKilometre * kilometres + perItem * items + (bias.data[0] ?? 0);
}

/** The gradient of half the mean squared error of a batch. */
export function gradient(parameters: DeliveryParameters, batch: readonly Delivery[]): DeliveryGradient {
  let [perKilometre, perItem, bias] = [0, 0, 0];
  for (const each of batch) {
    const error = predictMinutes(parameters, each) - each.minutes;
    const [kilometres, items] = scaled(each);
    perKilometre += (error * kilometres) / batch.length;
    perItem += (error * items) / batch.length;
    bias += error / batch.length;
  }
  return { weights: Float32Array.of(perKilometre, perItem), bias: Float32Array.of(bias) };
}

/** Inputs of about the same size, around zero: gradient descent is slow without. */
function scaled({ kilometres, items }: Order): [number, number] {
  return [(kilometres - 5) / 3, (items - 5.5) / 3.5];
}
