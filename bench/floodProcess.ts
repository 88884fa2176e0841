/**
 * The processes beside an attack: `floodProcess.js server BALLAST` and `workers URL COUNT`. Commands come by standard
 * input, answers go to standard output; it ends with its standard input.
 */
import { asp, ParameterServer, sgd, Worker } from 'pslib';
import { fail, obey } from './commanded.js';
import { answer } from './lines.js';

const [role = '', first = '', second = '1'] = process.argv.slice(2);
const LENGTH = 1024;

async function serve(): Promise<void> {
  const server = new ParameterServer({
    parameters: { w: { shape: [LENGTH] }, ballast: { shape: [Number(first)] } },
    optimizer: sgd({ learningRate: 1 }),
    consistency: asp(),
    port: 0,
    // As by default, but for waits that a benchmark has no time for.
    limits: { rateWindowMs: 2000, helloTimeoutMs: 2000, pullTimeoutMs: 8000 },
  });
  await server.listen();
  answer({ url: server.url, pid: process.pid });
  obey(async () => {
    const { tensors } = await server.parameters();
    const values = tensors.w?.data ?? new Float32Array(0);
    if (!values.every((value) => value === values[0])) throw new Error('the parameters differ');
    return { steps: values[0] ?? 0, connections: server.stats().connections };
  });
}

/** Steps of all workers, one after the other in each: pull 4 KB, push a gradient of −1. */
async function train(): Promise<void> {
  const workers = Array.from({ length: Number(second) }, () => new Worker(first));
  await Promise.all(workers.map((worker) => worker.connect()));
  let steps = 0;
  let isStopped = false;
  const loop = async (worker: Worker): Promise<void> => {
    const ones = new Float32Array(LENGTH).fill(-1);
    for (; !isStopped; steps++) {
      await worker.pull(['w']);
      const { outcome } = await worker.push({ w: ones });
      if (outcome !== 'applied') throw new Error(`a push is ${outcome}`);
    }
  };
  const loops = workers.map(loop);
  Promise.all(loops).catch(fail);
  answer({ ready: true });
  obey(async ([command, ms = '0']) => {
    if (command === 'stop') {
      isStopped = true;
      await Promise.all(loops);
      return { steps };
    }
    const [before, begin] = [steps, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, Number(ms)));
    return { rate: (1000 * (steps - before)) / (performance.now() - begin) };
  });
}

await (role === 'server' ? serve() : train()).catch(fail);
