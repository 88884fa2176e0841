/** Links so slow that one message takes longer than a lease: its parts are signs of life, for both ends. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startServer, startWorker } from './bench.js';

const LENGTH = 60_000;
const PARAMETERS = { w: { shape: [LENGTH] } } as const;
/** A chunk of 240,000 bytes takes about three leases at this rate. */
const SLICE_BYTES = 800;
const SLICE_MS = 10;
const LIMITS = { leaseMs: 1000, pingMs: 200, disconnectGraceMs: 100, chunkBytes: 131_072 };

const sockets = new Set<Socket>();
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

/** Passes on what `from` sends, slice by slice. */
function drip(from: Socket, to: Socket): void {
  sockets.add(from);
  const waiting: Buffer[] = [];
  from.on('data', (bytes: Buffer) => {
    waiting.push(bytes);
    from.pause();
  });
  const timer = setInterval(() => {
    const bytes = waiting.shift();
    if (bytes === undefined) return;
    to.write(bytes.subarray(0, SLICE_BYTES));
    if (bytes.length > SLICE_BYTES) waiting.unshift(bytes.subarray(SLICE_BYTES));
    else from.resume();
  }, SLICE_MS);
  from.on('error', () => {});
  from.once('close', () => {
    clearInterval(timer);
    to.destroy();
  });
}

/** A slow way to `port`; resolves to its own port. */
function slowWayTo(port: number): Promise<number> {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    drip(near, far);
    drip(far, near);
  });
  closing.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

it('a worker keeps its place and its connection while a chunk takes longer than a lease, either way', async () => {
  const server = await startServer({ parameters: PARAMETERS, limits: LIMITS });
  const losses: string[] = [];
  server.on('worker:leave', ({ reason }) => losses.push(reason));
  const port = await slowWayTo(Number(new URL(server.url).port));
  const worker = startWorker<typeof PARAMETERS>(`ws://127.0.0.1:${port}`);
  worker.on('reconnecting', ({ error }) => losses.push(error.message));
  const { outcome } = await worker.push({ w: new Float32Array(LENGTH).fill(-1) });
  expect(outcome).toBe('applied');
  const { tensors } = await worker.pull();
  expect(new Set(tensors.w.data)).toEqual(new Set([1]));
  expect(losses).toEqual([]);
});
