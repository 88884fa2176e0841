/**
 * A process of the benchmarks of tasks: `tasksProcess.js server`, `tasks URL WORKERS` or `data URL`. Commands come by
 * standard input, answers go to standard output; it ends with its standard input.
 */
import { asp, ParameterServer, sgd, Worker } from 'pslib';
import { fail, obey } from './commanded.js';
import { answer } from './lines.js';

const [role = '', url = '', count = '1'] = process.argv.slice(2);
/** Different items of a data set; it repeats them. */
const DISTINCT = 16;

async function serve(): Promise<void> {
  const server = new ParameterServer({
    parameters: { pushes: { shape: [1] } },
    optimizer: sgd({ learningRate: 1 }),
    consistency: asp(),
    port: 0,
  });
  await server.listen();
  answer({ url: server.url });
  obey(async ([command, first = '0', second = '0']) => {
    const begin = performance.now();
    if (command === 'tasks') await handOut(server, Number(first));
    else if (command === 'items') await sendItems(server, Number(first), Number(second));
    else return { workers: server.workers().length };
    return { seconds: (performance.now() - begin) / 1e3 };
  });
}

/** Empty tasks; each must be done once. */
async function handOut(server: ParameterServer, tasks: number): Promise<void> {
  const isDone = new Uint8Array(tasks);
  const inputs = function* (): Generator<null> {
    for (let i = 0; i < tasks; i++) yield null;
  };
  for await (const { index, error } of server.tasks.map<null, null>(inputs())) {
    if (error !== undefined || isDone[index] === 1) throw error ?? new Error(`task ${index} is done twice`);
    isDone[index] = 1;
  }
  if (!isDone.every((each) => each === 1)) throw new Error('some tasks are not done');
}

/** `bytes` in items of `itemBytes`, sixteen in a data shard; the workers look at them, and push once for each shard. */
async function sendItems(server: ParameterServer, bytes: number, itemBytes: number): Promise<void> {
  const distinct = Array.from({ length: DISTINCT }, (_, i) => new Float32Array(itemBytes / 4).fill(i));
  const items = Array.from({ length: bytes / itemBytes }, (_, i) => distinct[i % DISTINCT]);
  const { examples } = await server.tasks.dataset({ items, shardSize: DISTINCT }).finished;
  if (examples !== items.length) throw new Error(`${examples} of ${items.length} items are counted`);
}

async function handleTasks(): Promise<void> {
  const workers = Array.from({ length: Number(count) }, () => new Worker(url));
  for (const worker of workers) worker.tasks((input) => input).catch(fail);
  obey(async () => ({}));
}

async function takeItems(): Promise<void> {
  const worker = new Worker<{ pushes: unknown }>(url);
  await worker.connect();
  answer({ ready: true });
  obey(async () => {
    let bytes = 0;
    await worker.run(
      (_parameters, items: readonly Float32Array[]) => {
        for (const [i, item] of items.entries()) {
          if (item[0] !== i || item.at(-1) !== i) throw new Error(`item ${i} holds ${item[0]}`);
          bytes += item.byteLength;
        }
        return { gradients: { pushes: Float32Array.of(-1) } };
      },
      { dataShards: ({ items }) => [items ?? []] },
    );
    return { bytes };
  });
}

await (role === 'server' ? serve() : role === 'tasks' ? handleTasks() : takeItems()).catch(fail);
