/**
 * Servers and workers on hosts of their own, whose network breaks in each way it can: whatever it does, once it
 * heals everyone goes on, and every cell is the number of pushes that were acknowledged to its worker.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WORKERS } from '../fault/processes/cells.js';
import { Child } from '../fault/processes/child.js';
import { HostNetwork, whyNoHosts } from './network.js';

const why = whyNoHosts();
if (why !== undefined) console.log(`hosts can't be made here: ${why}`);
// In CI they must be made.
const isSkipped = why !== undefined && !process.env.CI;

let network: HostNetwork;
const children: Child[] = [];

function start(host: number, file: string, ...args: (string | number)[]): Child {
  const child = new Child(`../../hosts/${file}`, args, network.commandOn(host));
  children.push(child);
  return child;
}

/** Hosts 0 … of servers, then those of workers, then one for whoever reads. */
describe.skipIf(isSkipped).each([{ servers: 1 }, { servers: 2 }])('$servers servers', ({ servers }) => {
  const workerHost = (rank: number): number => servers + rank;
  const everyWorker = Array.from({ length: WORKERS }, (_, rank) => rank);
  let urls: string;
  let serverProcesses: Child[];
  let workers: Child[];
  const directory = mkdtempSync(join(tmpdir(), 'pslib-hosts-'));
  const computeFile = (rank: number): string => join(directory, `compute-${rank}`);
  afterAll(() => rmSync(directory, { recursive: true }));

  beforeEach(async () => {
    network = new HostNetwork(servers + WORKERS + 1);
    const addresses = Array.from({ length: servers }, (_, i) => network.address(i));
    urls = addresses.map((address) => `ws://${address}:7077`).join(',');
    serverProcesses = addresses.map((address, i) => start(i, 'serverProcess.ts', address, i, servers));
    await Promise.all(serverProcesses.map((server) => server.next('listening')));
    workers = everyWorker.map((rank) =>
      start(workerHost(rank), 'workerProcess.ts', urls, rank, computeFile(rank)),
    );
    await everyoneGoesOn();
  });

  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.kill()));
    network.remove();
  });

  /** Each worker's next acknowledgements. */
  async function everyoneGoesOn(count = 10): Promise<void> {
    await Promise.all(workers.map((worker) => worker.next('acknowledged', count)));
  }

  async function expectExactSums(): Promise<void> {
    network.heal();
    await everyoneGoesOn();
    const finished = workers.map((worker) => worker.next('finished'));
    for (const worker of workers) worker.tell('stop');
    const acknowledged = (await Promise.all(finished)).map((said) => said.acknowledged as number);
    const reader = start(servers + WORKERS, 'readerProcess.ts', urls);
    const { own, shared, padding } = await reader.next('cells');
    const sum = acknowledged.reduce((a, b) => a + b, 0);
    expect(own).toEqual(acknowledged);
    expect(shared).toBe(sum);
    expect(new Set(padding as number[])).toEqual(new Set([sum]));
  }

  /**
   * The others train on when `rank` has lost its place at `server`. In a group it gives up the one at the other server
   * by itself.
   */
  async function goOnWithout(rank: number, server: Child): Promise<void> {
    await server.next(`left w${rank}`);
    const others = workers.filter((_, i) => i !== rank);
    await Promise.all(others.map((worker) => worker.next('acknowledged', 20)));
  }

  test('a worker is cut off from a server, both ways', async () => {
    const left = goOnWithout(1, serverProcesses[0] as Child);
    network.dropFrom(workerHost(1), 0);
    network.dropFrom(0, workerHost(1));
    await left;
    await expectExactSums();
  });

  test('a worker is cut off while it computes: nobody waits for the end of its step', async () => {
    const computing = (workers[1] as Child).next('computing');
    writeFileSync(computeFile(1), '');
    await computing;
    const left = goOnWithout(1, serverProcesses[0] as Child);
    for (const server of serverProcesses.keys()) {
      network.dropFrom(workerHost(1), server);
      network.dropFrom(server, workerHost(1));
    }
    await left;
    rmSync(computeFile(1));
    await expectExactSums();
  });

  test('a worker hears nothing of a server that hears it', async () => {
    const lost = (workers[2] as Child).next('reconnecting');
    network.dropFrom(0, workerHost(2));
    await lost;
    await expectExactSums();
  });

  test('a server hears nothing of a worker that hears it', async () => {
    const left = goOnWithout(0, serverProcesses[0] as Child);
    network.dropFrom(workerHost(0), 0);
    await left;
    await expectExactSums();
  });

  test('a server is cut off from everyone: nobody goes on until it is back', async () => {
    const lost = workers.map((worker) => worker.next('reconnecting'));
    for (const rank of everyWorker) network.dropFrom(workerHost(rank), servers - 1);
    await Promise.all(lost);
    await expectExactSums();
  });

  test('packets are lost everywhere', async () => {
    for (let host = 0; host < servers + WORKERS; host++) network.losePackets(host, 0.05);
    await everyoneGoesOn(30);
    await expectExactSums();
  });
});

afterAll(() => expect(children).toEqual([]));
