/**
 * Learns from feedback as it comes: a worker whose batches are what has come since the last one. Feedback that comes
 * faster than it can be learned from is dropped, the oldest first, and counted: a service must not grow without bound.
 */
import { Worker } from 'pslib';
import { type Example, gradientOf, idsOf, type Model, reconnect } from './model.js';

const MAX_WAITING = 10_000;
const MAX_BATCH = 256;
/** Least time that a batch is gathered for. */
const GATHER_MS = 20;

/** A worker that learns from examples, one after the other. */
export class Learner {
  #waiting: Example[] = [];
  /** Examples of the batch whose gradient is still to be computed. */
  #begun = 0;
  #dropped = 0;
  #learned = 0;
  #wake: () => void = () => {};

  constructor(url: string) {
    const worker = new Worker<Model>(url, { reconnect });
    const run = worker.run<Example[]>(
      ({ bias, weights, factors }, batch) => {
        const { gradients, loss } = gradientOf(bias.data[0] as number, weights.data, factors.data, batch);
        this.#learned += batch.length;
        this.#begun = 0;
        return { gradients, metrics: { loss } };
      },
      {
        data: this.#batches(),
        // The rows that a batch needs come with the parameters.
        rows: (batch) => ({ weights: idsOf(batch), factors: idsOf(batch) }),
      },
    );
    run.catch((error: unknown) => console.error(`learning has ended: ${String(error)}`));
  }

  get counts(): { readonly learned: number; readonly waiting: number; readonly dropped: number } {
    return { learned: this.#learned, waiting: this.#waiting.length + this.#begun, dropped: this.#dropped };
  }

  learn(example: Example): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.shift();
      this.#dropped++;
    }
    this.#waiting.push(example);
    this.#wake();
  }

  async *#batches(): AsyncGenerator<Example[], never, undefined> {
    for (;;) {
      if (this.#waiting.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
      const batch = this.#waiting.splice(0, MAX_BATCH);
      this.#begun = batch.length;
      yield batch;
    }
  }
}
