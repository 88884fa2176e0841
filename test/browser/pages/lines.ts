/**
 * A page for tests that say in the page what is to be done: pslib's `Worker` is a global, the browser's is `Thread`,
 * and `train(url, steps)` pushes so many times a gradient that adds 1 to each element of `line`.
 */
import { PsError, Worker, type WorkerOptions } from 'pslib/worker';

export async function train(url: string, steps: number, options: WorkerOptions = {}): Promise<string> {
  const worker = new Worker(url, options);
  try {
    const summary = await worker.run(
      ({ line }) => ({ gradients: { line: new Float32Array(line?.data.length ?? 0).fill(-1) } }),
      { steps },
    );
    return `${summary.steps} steps`;
  } catch (error) {
    return error instanceof PsError ? `${error.code}: ${error.message}` : String(error);
  } finally {
    await worker.close();
  }
}

Object.assign(globalThis, { Worker, Thread: globalThis.Worker, train });
