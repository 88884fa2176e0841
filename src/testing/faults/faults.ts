/**
 * What goes wrong in a run: drawn beforehand, as a list with times, so that a run can be read and single
 * faults be left out. To add a kind: its name in `FAULT_KINDS`, its length in `drawMs`, and what it does to the
 * cluster in `inject`. It must end: from `healsAt` on everyone has to make progress.
 */
import { invalidArgument } from '../../core/base/errors.js';
import type { Random } from '../../core/base/random.js';
import { DiskStore } from '../cluster/serverStore.js';
import type { SimCluster } from '../cluster/simCluster.js';
import type { SimProcess } from '../network/simProcess.js';

/** The kinds of faults; see `Fault`. */
export const FAULT_KINDS = [
  'reset',
  'silence',
  'cutOff',
  'slowNetwork',
  'stopWorker',
  'killWorker',
  'secondProcess',
  'stopServer',
  'killServer',
  'stallDisk',
  'failDisk',
  'drainServer',
] as const;
/** A kind of fault. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Groups of kinds, by name. */
export const FAULT_GROUPS: Readonly<Record<string, readonly FaultKind[]>> = {
  none: [],
  network: ['reset', 'silence', 'cutOff', 'slowNetwork'],
  workers: ['stopWorker', 'killWorker', 'secondProcess'],
  server: ['stopServer', 'killServer', 'drainServer'],
  disk: ['stallDisk', 'failDisk', 'killServer'],
  all: FAULT_KINDS,
};

/** The kinds that `text` names: groups and kinds with commas between. Throws `PS_INVALID_ARGUMENT`. */
export function faultKindsOf(text: string): readonly FaultKind[] {
  const kinds = text.split(',').flatMap((name) => {
    const group = FAULT_GROUPS[name];
    if (group !== undefined) return group;
    const kind = FAULT_KINDS.find((each) => each === name);
    if (kind !== undefined) return [kind];
    const known = [...Object.keys(FAULT_GROUPS), ...FAULT_KINDS];
    throw invalidArgument('faults', name, `one of ${known.join(', ')}`);
  });
  return [...new Set(kinds)];
}

/** One fault. */
export interface Fault {
  readonly kind: FaultKind;
  /** Virtual milliseconds. */
  readonly at: number;
  /** The worker concerned, where one is. */
  readonly worker: string;
  /** How long it lasts; killed: until it is started again, Infinity for good. */
  readonly ms: number;
  /** Draws of its own: what is under way is lost, the machine dies with the process, … */
  readonly variant: number;
}

/** Who can be hit. */
interface Target {
  readonly id: string;
}

/** Draws faults over `spanMs`, the first of them after the start. */
export function drawFaults(
  random: Random,
  kinds: readonly FaultKind[],
  targets: readonly Target[],
  { spanMs, maxMs }: { readonly spanMs: number; readonly maxMs: number },
): { readonly faults: readonly Fault[]; readonly healsAt: number } {
  if (kinds.length === 0) return { faults: [], healsAt: 0 };
  const faults: Fault[] = [];
  const count = 1 + random.nextInt(6);
  let at = 0;
  for (let i = 0; i < count; i++) {
    // Faults come in storms: many bugs need two of them close together.
    at = i > 0 && random.nextInt(2) === 0 ? at + random.nextInt(60) : random.nextInt(Math.ceil(spanMs));
    const kind = kinds[random.nextInt(kinds.length)] as FaultKind;
    const worker = (targets[random.nextInt(targets.length)] as Target).id;
    faults.push({
      kind,
      at,
      worker,
      ms: Math.min(maxMs, drawMs(random, kind)),
      variant: random.nextUint32(),
    });
  }
  faults.sort((a, b) => a.at - b.at);
  const ends = faults.map((fault) => fault.at + (Number.isFinite(fault.ms) ? fault.ms + ZOMBIE_MS : 0));
  return { faults, healsAt: Math.max(...ends) };
}

function drawMs(random: Random, kind: FaultKind): number {
  switch (kind) {
    case 'reset':
      return 0;
    case 'killWorker':
      return random.nextInt(3) === 0 ? Number.POSITIVE_INFINITY : random.nextInt(800);
    case 'killServer':
    case 'failDisk':
    case 'drainServer':
      return 5 + random.nextInt(random.nextInt(2) === 0 ? 60 : 1_500);
    case 'stallDisk':
      return 20 + random.nextInt(400);
    default:
      return 20 + random.nextInt(random.nextInt(3) === 0 ? 4_000 : 600);
  }
}

/** Does to `cluster` what `fault` says. `restart` starts a process of a worker again. */
export function inject(cluster: SimCluster, fault: Fault, restart: (id: string) => void): void {
  const { timeline, network } = cluster;
  const { ms, variant } = fault;
  const worker = cluster.worker(fault.worker);
  const until = timeline.now + ms;
  switch (fault.kind) {
    case 'reset':
      cluster.observer.note(fault.worker, 'loses its connection');
      for (const { link } of network.connections(fault.worker)) {
        link.reset({
          up: variant & 1 ? 'arrives' : 'lost',
          down: variant & 2 ? 'arrives' : 'lost',
          nearMs: variant & 4 ? (variant >>> 8) & 63 : 0,
          farMs: variant & 8 ? (variant >>> 16) & 255 : 0,
        });
      }
      break;
    case 'silence': {
      const way = (['up', 'down', 'both'] as const)[variant % 3] as 'up';
      cluster.observer.note(fault.worker, `has a connection that has gone silent (${way})`);
      for (const { link } of network.connections(fault.worker)) link.silence(way);
      break;
    }
    case 'cutOff':
      cluster.observer.note(fault.worker, `is cut off for ${ms} ms`);
      network.cutOff(fault.worker, until);
      break;
    case 'slowNetwork':
      slowDown(cluster, 2 + (variant % 40), ms);
      break;
    case 'stopWorker':
      if (worker?.process.isAlive === true) cluster.stopProcess(worker.process, ms);
      break;
    case 'killWorker':
      if (worker === undefined) break;
      cluster.killWorker(worker, (variant & 1) === 1);
      if (!Number.isFinite(ms)) break;
      timeline.after(ms, () => {
        if (cluster.worker(fault.worker)?.process.isAlive !== true) restart(fault.worker);
      });
      break;
    case 'secondProcess':
      // One that was never welcomed has as much right to the id as its successor.
      if (worker?.core.catalogue === undefined) break;
      if (worker.process.isAlive) cluster.stopProcess(worker.process, ms);
      // It comes back as one that is not wanted any more, and does not stay for long.
      timeline.after(ms + ZOMBIE_MS, () => cluster.killWorker(worker, false));
      if (variant & 1) for (const { link } of network.connections(fault.worker)) link.reset(SUDDEN);
      restart(fault.worker);
      break;
    default:
      injectIntoServer(cluster, fault);
  }
}

/** The server's process and its disk. */
function injectIntoServer(cluster: SimCluster, { kind, ms, variant }: Fault): void {
  const { timeline, server, store } = cluster;
  switch (kind) {
    case 'stopServer':
      if (server.process !== undefined) cluster.stopProcess(server.process, ms);
      break;
    case 'killServer':
      if (server.process === undefined) break;
      server.kill((variant & 1) === 0);
      timeline.after(ms, () => {
        if (server.process === undefined) server.start();
      });
      break;
    case 'drainServer':
      if (server.process === undefined) break;
      server.drain(Math.round(ms));
      startAgain(cluster, server.process, ms);
      break;
    case 'stallDisk':
      if (!(store instanceof DiskStore)) break;
      cluster.observer.note('server', `has a disk that stalls for ${ms} ms`);
      store.disk.stall(timeline.now + ms);
      break;
    case 'failDisk':
      if (!(store instanceof DiskStore) || server.listening === undefined) break;
      cluster.observer.note('server', 'has a disk that fails');
      store.disk.fail(1);
      // Whoever watches the server starts it anew.
      timeline.after(ms, () => {
        server.kill(false);
        timeline.after(5, () => {
          if (server.process === undefined) server.start();
        });
      });
      break;
    default:
  }
}

/** Starts the server again `ms` after `process` has ended. */
function startAgain(cluster: SimCluster, process: SimProcess, ms: number): void {
  const { timeline, server } = cluster;
  const look = (): void => {
    if (process.isAlive) timeline.after(10, look);
    else if (server.process === undefined) server.start();
  };
  timeline.after(ms, look);
}

/** Variant of a reset: what the worker has sent arrives, what is on its way to it does not. */
export const LOST_ANSWER = 1;
/** How long a process that was replaced goes on. */
const ZOMBIE_MS = 300;
const SUDDEN = { up: 'lost', down: 'lost', nearMs: 0, farMs: 0 } as const;

function slowDown({ network, timeline, observer }: SimCluster, addedMs: number, ms: number): void {
  const { conditions } = network;
  observer.note('network', `is ${addedMs} ms slower for ${ms} ms`);
  conditions.latencyMs += addedMs;
  timeline.after(ms, () => {
    conditions.latencyMs -= addedMs;
  });
}
