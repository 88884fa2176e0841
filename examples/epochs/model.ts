/** What server and workers must agree on: the network of ../digits, and beside it a count of every training digit. */
import { sgd } from 'pslib';
import { loadDigits, splitDigits } from '../digits/data.js';
import { networkParameters } from '../digits/network.js';

export const { training, test } = splitDigits(loadDigits());

/** Each push adds 1 to the counts of its digits: so the parameters tell which digits are in them, and how often. */
export const parameters = {
  ...networkParameters,
  counts: { shape: [training.labels.length], optimizer: sgd({ learningRate: 1 }) },
} as const;
