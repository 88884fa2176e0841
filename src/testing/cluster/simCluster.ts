/** A simulated cluster: one server, worker processes that come and go, a network, and virtual time. */
import type { Random } from '../../core/base/random.js';
import type { ReconnectPolicy } from '../../core/worker/reconnection.js';
import type { UnansweredLimits } from '../../core/worker/sender.js';
import type { NetworkConditions } from '../network/conditions.js';
import { Network } from '../network/network.js';
import { SimProcess } from '../network/simProcess.js';
import { Timeline } from '../network/timeline.js';
import { type ClusterObserver, Observers } from './observer.js';
import type { ServerStore } from './serverStore.js';
import { SimServer, type SimServerOptions } from './simServer.js';
import { SimWorker, type SimWorkerParts } from './simWorker.js';

/** What all workers of a cluster have in common. */
export interface SimWorkerOptions {
  readonly reconnect: ReconnectPolicy;
  readonly limits: UnansweredLimits;
  readonly connectTimeoutMs: number;
  readonly windowBytes: number;
}

/** What a cluster is made of. */
export interface SimClusterOptions {
  readonly server: SimServerOptions;
  readonly workers: SimWorkerOptions;
  readonly network: NetworkConditions;
  /** Makes the server's store; `timeline` runs from 0. */
  readonly store: (timeline: Timeline) => ServerStore;
  readonly random: Random;
  /** Made when the cluster exists, so that they can look at it. */
  readonly observers: (cluster: SimCluster) => readonly ClusterObserver[];
}

/** Server, workers, network and time. */
export class SimCluster {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly server: SimServer;
  readonly store: ServerStore;
  readonly observer: Required<ClusterObserver>;
  readonly #options: SimClusterOptions;
  /** The last process of each worker id. */
  readonly #workers = new Map<string, SimWorker>();

  constructor(options: SimClusterOptions) {
    this.#options = options;
    this.timeline = new Timeline();
    this.network = new Network(this.timeline, options.random.fork('network'), options.network);
    this.store = options.store(this.timeline);
    this.observer = new Observers(options.observers(this));
    this.server = new SimServer(this.timeline, this.network, options.server, this.store, this.observer);
  }

  /** The last process of each worker. */
  get workers(): Iterable<SimWorker> {
    return this.#workers.values();
  }

  /** The last process of `id`, alive or not. */
  worker(id: string): SimWorker | undefined {
    return this.#workers.get(id);
  }

  /** Starts a process of worker `id`, whatever became of those before. */
  startWorker(id: string, readOnly: boolean, makeCore?: SimWorkerParts['makeCore']): SimWorker {
    const { random, workers } = this.#options;
    const number = (this.#workers.get(id)?.number ?? 0) + 1;
    const own = random.fork(id).fork(number);
    const process = new SimProcess(id, this.timeline, own.nextInt(1_000_000));
    const worker = new SimWorker({
      process,
      number,
      network: this.network,
      server: this.server,
      core: {
        id,
        session: sessionKey(id, number),
        readOnly,
        connectTimeoutMs: workers.connectTimeoutMs,
        reconnect: workers.reconnect,
        limits: workers.limits,
        seed: own.nextUint32(),
      },
      ...(makeCore === undefined ? {} : { makeCore }),
      windowBytes: workers.windowBytes,
      observer: this.observer,
    });
    this.#workers.set(id, worker);
    this.observer.note(id, number === 1 ? 'starts' : `starts again, process ${number}`);
    return worker;
  }

  /** Kills a worker's process. `isMachineDead`: the server is not told. */
  killWorker(worker: SimWorker, isMachineDead: boolean): void {
    if (!worker.process.isAlive) return;
    this.observer.note(worker.id, isMachineDead ? 'loses power' : 'is killed');
    worker.process.kill();
    this.network.died(worker.process, isMachineDead);
  }

  /** Stops a process for `ms`. */
  stopProcess(process: SimProcess, ms: number): void {
    this.observer.note(process.name, `stops for ${Math.round(ms)} ms`);
    process.stop();
    this.timeline.after(ms, () => {
      this.observer.note(process.name, 'goes on');
      process.resume();
    });
  }
}

/** The secret name of a process: made of its worker's id and number, so that onlookers know whose it is. */
export function sessionKey(id: string, number: number): string {
  return `${id}#${number}`;
}
