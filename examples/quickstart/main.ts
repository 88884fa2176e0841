/**
 * A whole program: a server and a worker in one process train a softmax regression, 64 pixels to
 * 10 classes. `gradient` and `batches`, below, are yours to write; pslib does the rest.
 */
import { adam, ParameterServer, ssp, Worker } from 'pslib';

const parameters = {
  kernel: { shape: [64, 10], init: 'glorotUniform' },
  bias: { shape: [10] }, // zeros unless init or data is given
} as const;

const server = new ParameterServer({
  parameters,
  optimizer: adam({ learningRate: 1e-3 }),
  consistency: ssp({ staleness: 3 }),
  port: 8080,
});
await server.listen();

const worker = new Worker<typeof parameters>('ws://127.0.0.1:8080');
await worker.connect();
const losses: number[] = [];
const summary = await worker.run(
  ({ kernel, bias }, batch) => {
    // by name: { shape, dtype, data: Float32Array }
    const { loss, dKernel, dBias } = gradient(kernel.data, bias.data, batch);
    losses.push(loss);
    return { gradients: { kernel: dKernel, bias: dBias }, metrics: { loss } };
  },
  { data: batches, steps: 500 }, // data: Iterable | AsyncIterable | (step) => batch
);
await worker.close();
await server.close();

console.log(`${summary.steps} steps: loss ${losses.at(0)?.toFixed(2)} to ${losses.at(-1)?.toFixed(2)}`);

interface Batch {
  images: { pixels: number[]; label: number }[];
}

/** 32 noisy images: pixel p of class c is bright when 37 (p + 1) (c + 1) mod 101 is odd. */
function batches(step: number): Batch {
  const noise = (image: number, pixel: number) => Math.sin(7919 * step + 271 * image + 31 * pixel ** 2);
  const images = Array.from({ length: 32 }, (_, image) => {
    const label = image % 10;
    const bright = (pixel: number) => ((37 * (pixel + 1) * (label + 1)) % 101) % 2;
    return { label, pixels: Array.from({ length: 64 }, (_, pixel) => bright(pixel) + noise(image, pixel)) };
  });
  return { images };
}

/** The mean cross-entropy of a batch and its derivatives by kernel (64 × 10) and bias. */
function gradient(kernel: Float32Array, bias: Float32Array, { images }: Batch) {
  const dKernel = new Float32Array(kernel.length);
  const dBias = new Float32Array(bias.length);
  let loss = 0;
  for (const { pixels, label } of images) {
    const scores = [...bias].map((start, c) =>
      pixels.reduce((sum, pixel, p) => sum + pixel * (kernel[10 * p + c] ?? 0), start),
    );
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    powers.forEach((power, c) => {
      const probability = power / total;
      const isLabel = c === label;
      if (isLabel) loss -= Math.log(probability) / images.length;
      const dScore = (probability - Number(isLabel)) / images.length;
      dBias[c] = (dBias[c] ?? 0) + dScore;
      pixels.forEach((pixel, p) => {
        dKernel[10 * p + c] = (dKernel[10 * p + c] ?? 0) + dScore * pixel;
      });
    });
  }
  return { loss, dKernel, dBias };
}
