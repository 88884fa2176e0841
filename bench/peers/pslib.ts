/** pslib as its users have it: pull into arrays of the worker's own, push, both answered. */
import {
  asp,
  bsp,
  ParameterServer,
  type ParameterServerOptions,
  type ParameterSpec,
  sgd,
  ssp,
  Worker,
} from 'pslib';
import { gradientOf, initialValue, LEARNING_RATE, type Part } from '../model.js';
import type { ConnectPlan, Peer, PeerServer, PeerWorker, ServePlan } from '../peer.js';

/** pslib, two exchanges a round. */
export const peer: Peer = {
  name: 'pslib',
  title: 'pslib',
  applies: true,
  serve: servePslib,
  async connect(plan) {
    const connected = await PslibWorker.connect(plan);
    const { worker } = connected;
    return {
      ...connected.operations(),
      async round() {
        await worker.pull(undefined, { into: connected.into });
        const push = worker.push(connected.gradients);
        if (plan.ticks) await worker.tick();
        await push;
      },
    };
  },
};

/** A parameter server with the model of the plan, SGD, and by default no bound on staleness. */
export async function servePslib(
  { parts, index, count, consistency = 'asp', minWorkers = 1 }: ServePlan,
  more: Pick<ParameterServerOptions, 'dataDir' | 'durability'> = {},
): Promise<PeerServer> {
  const parameters = Object.fromEntries(
    parts.map(({ name, offset, length }): [string, ParameterSpec] => [
      name,
      { shape: [length], init: (i) => initialValue(offset + i) },
    ]),
  );
  const server = new ParameterServer({
    parameters,
    optimizer: sgd({ learningRate: LEARNING_RATE }),
    consistency: { asp: asp(), bsp: bsp(), ssp: ssp({ staleness: 3 }) }[consistency],
    minWorkers,
    ...(count === 1 ? {} : { shard: { index, count } }),
    port: 0,
    ...more,
  });
  await server.listen();
  return { port: Number(new URL(server.url).port) };
}

/** A connected worker, and the arrays of its rounds, made when they are first needed. */
export class PslibWorker {
  readonly worker: Worker;
  readonly #parts: readonly Part[];
  #into: Record<string, Float32Array> | undefined;
  #gradients: Record<string, Float32Array> | undefined;

  constructor(worker: Worker, parts: readonly Part[]) {
    this.worker = worker;
    this.#parts = parts;
  }

  /** Connects a worker. */
  static async connect({ parts, ports, readOnly = false }: ConnectPlan): Promise<PslibWorker> {
    const urls = ports.map((port) => `ws://127.0.0.1:${port}`);
    const worker = new Worker(urls.length === 1 ? (urls[0] as string) : urls, { readOnly });
    await worker.connect();
    return new PslibWorker(worker, parts);
  }

  /** Arrays to pull into. */
  get into(): Record<string, Float32Array> {
    this.#into ??= byName(this.#parts, (part) => new Float32Array(part.length).fill(Number.NaN));
    return this.#into;
  }

  /** What a round pushes. */
  get gradients(): Record<string, Float32Array> {
    this.#gradients ??= byName(
      this.#parts.filter((part) => part.isPushed),
      gradientOf,
    );
    return this.#gradients;
  }

  /** Everything of a peer's worker but the round. */
  operations(): Omit<PeerWorker, 'round'> {
    const small = new Float32Array(this.#parts.at(-1)?.length ?? 0);
    return {
      pull: async () => {
        await this.worker.pull(undefined, { into: this.into });
      },
      pullSmall: async () => {
        await this.worker.pull(['small'], { into: { small } });
      },
      pulled: () => Object.values(this.into),
      leave: () => this.worker.close(),
    };
  }
}

function byName(
  parts: readonly Part[],
  valuesOf: (part: Part) => Float32Array,
): Record<string, Float32Array> {
  return Object.fromEntries(parts.map((part) => [part.name, valuesOf(part)]));
}
