/** Servers and workers on loopback that end with the test, and connections that the test can cut. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { sgd } from '../../../src/core/optim/sgd.js';
import type { ParameterSpecs } from '../../../src/core/table/model.js';
import { RegroupingCore } from '../../../src/core/worker/group/regroupingCore.js';
import { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';
import { nodeConnect } from '../../../src/io/transport/nodeConnect.js';
import type { Connect, Transport } from '../../../src/io/transport/transport.js';
import type { PageListener, Platform } from '../../../src/io/worker/platform.js';
import type { WorkerUrl } from '../../../src/io/worker/serverUrls.js';
import { WorkerBase } from '../../../src/io/worker/workerBase.js';
import type { WorkerOptions } from '../../../src/io/worker/workerOptions.js';

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A directory that is removed at the end of the test, when the servers that were started later have closed theirs. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pslib-test-'));
  ends.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** a: 2 × 3, b: 4, fixed: a scalar that takes no gradient. */
export const PARAMETERS = {
  a: { shape: [2, 3] },
  b: { shape: [4], data: Float32Array.of(1, 2, 3, 4) },
  fixed: { shape: [], trainable: false, data: Float32Array.of(9) },
} as const;

/** A server that listens, with SGD at a rate of 1, so that a push subtracts exactly what it carries. */
export async function startServer<P extends ParameterSpecs>(
  options: Partial<ParameterServerOptions<P>> & { parameters: P },
): Promise<ParameterServer<P> & { readonly url: string }> {
  const server = new ParameterServer<P>({
    optimizer: sgd({ learningRate: 1 }),
    ...(options.server === undefined && options.noServer === undefined ? { port: 0 } : {}),
    ...options,
  });
  ends.push(() => server.close());
  await server.listen();
  return server as ParameterServer<P> & { readonly url: string };
}

/** A worker whose connections can be cut. */
export class CuttableWorker<P> extends WorkerBase<P> {
  readonly #transports: Transport[];
  /** As if it ran in a page: says what becomes of that. */
  readonly page: PageListener;

  constructor(url: WorkerUrl, options: WorkerOptions = {}) {
    const transports: Transport[] = [];
    const connect: Connect = (to, how, handlers) => {
      return nodeConnect(to, how, {
        ...bound(handlers),
        onOpen(transport) {
          transports.push(transport);
          handlers.onOpen(transport);
        },
      });
    };
    let page: PageListener | undefined;
    const watchPage = (listener: PageListener) => {
      page = listener;
      return () => {};
    };
    const movingGroup: Platform['movingGroup'] = (core) => new RegroupingCore(core);
    super({ connect, movingGroup, watchPage }, url, {
      reconnect: { minDelayMs: 1, maxDelayMs: 20 },
      ...options,
    });
    this.#transports = transports;
    this.page = page as unknown as PageListener;
    ends.push(() => this.close());
  }

  /** How many connections were opened. */
  get connections(): number {
    return this.#transports.length;
  }

  /** Cuts the present connection, or the one that was opened so many before, as a lost network would. */
  cut(before = 0): void {
    this.#transports.at(-1 - before)?.terminate();
  }
}

/** The handlers as own properties, so that they can be spread. */
function bound(handlers: Parameters<Connect>[2]): Parameters<Connect>[2] {
  return {
    onOpen: (transport) => handlers.onOpen(transport),
    onFrame: (frame) => handlers.onFrame(frame),
    onMessage: (message, payload) => handlers.onMessage(message, payload),
    onMalformed: (error) => handlers.onMalformed(error),
    onProgress: () => handlers.onProgress?.(),
    place: (message, bytes) => handlers.place(message, bytes),
    onText: () => handlers.onText(),
    onClose: (code, reason) => handlers.onClose(code, reason),
  };
}

export function startWorker<P = typeof PARAMETERS>(
  url: WorkerUrl,
  options: WorkerOptions = {},
): CuttableWorker<P> {
  return new CuttableWorker<P>(url, options);
}

/** The code that `promise` rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}

/** Gradients of a and b, filled with `value`. */
export function gradientsOf(value: number): { a: Float32Array; b: Float32Array } {
  return { a: new Float32Array(6).fill(value), b: new Float32Array(4).fill(value) };
}

/** Resolves with the first event `name` that fits. */
export function nextEvent<E>(
  emitter: { on(name: never, listener: never): unknown; off(name: never, listener: never): unknown },
  name: string,
  fits: (event: E) => boolean = () => true,
): Promise<E> {
  return new Promise((resolve) => {
    const listener = (event: E) => {
      if (!fits(event)) return;
      emitter.off(name as never, listener as never);
      resolve(event);
    };
    emitter.on(name as never, listener as never);
  });
}
