/**
 * A worker of a simulated group that trains on data shards: it adds 1 to the cell of each example on each shard. Its
 * process may be killed, and another one started.
 */
import type { SimWorker } from '../../../src/testing/cluster/simWorker.js';
import { DataProgram } from '../../../src/testing/programs/dataProgram.js';
import type { SimGroup } from './simGroup.js';

/** One worker id, with its processes. */
export class DataWorker {
  readonly id: string;
  isDone = false;
  readonly #group: SimGroup;
  readonly #batch: number;
  #worker: SimWorker | undefined;
  #processes = 0;
  #rollbacks = 0;

  /** `batch`: examples in a batch, the same for all workers. */
  constructor(group: SimGroup, id: string, batch: number) {
    this.#group = group;
    this.id = id;
    this.#batch = batch;
  }

  get process(): SimWorker['process'] | undefined {
    return this.#worker?.process;
  }

  /** Starts a process. */
  start(): void {
    const worker = this.#group.process(this.id, ++this.#processes, (observation) => {
      if (observation.kind === 'rollback' && worker === this.#worker) this.#rollbacks++;
    });
    this.#worker = worker;
    const { random } = this.#group;
    const program = new DataProgram(worker, {
      isAhead: random.nextInt(2) === 0,
      pullTimeoutMs: 300_000,
      untilClock: Number.POSITIVE_INFINITY,
      pushes: 1 + random.nextInt(2),
      rollbacks: () => this.#rollbacks,
      batch: (left) => Math.min(left, this.#batch),
      onLeased: () => {},
      onPulled: () => ({ computeMs: random.nextFloat() * 5, isBlocking: false, announcedMs: undefined }),
      push: (_clock, { epoch, from, to }) => ({
        content: { tensors: undefined, values: [this.#gradient(epoch, from, to)] },
        onEnded: () => {},
      }),
      onEnd: (error) => {
        if (worker !== this.#worker) return;
        if (error !== undefined) this.#group.violations.push(`${this.id}: ${error.code} ${error.message}`);
        this.isDone = true;
      },
    });
    program.start();
  }

  kill(isMachineDead: boolean): void {
    const { process } = this;
    if (process === undefined) return;
    process.kill();
    this.#group.network.died(process, isMachineDead);
  }

  #gradient(epoch: number, from: number, to: number): Float32Array {
    const { count, data } = this.#group.options;
    const { width } = this.#group;
    const { size = 0 } = data?.dataSet ?? {};
    const gradient = new Float32Array(count * width);
    for (let shard = 0; shard < count; shard++) {
      gradient.fill(-1, shard * width + epoch * size + from, shard * width + epoch * size + to);
    }
    return gradient;
  }
}
