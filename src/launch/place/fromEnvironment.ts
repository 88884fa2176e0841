/**
 * `fromEnvironment`: which part of a training job this process is. It knows the variables of `pslib launch`,
 * Slurm and Kubernetes, so that one script runs unchanged on one machine and on many. It changes nothing
 * in the environment and starts nothing.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { invalidArgument } from '../../core/base/errors.js';
import { checkOptionObject } from '../../core/base/optionObject.js';
import type { ParameterServerOptions } from '../../io/server/serverOptions.js';
import type { WorkerOptions } from '../../io/worker/workerOptions.js';
import { awaitServers } from './awaitServers.js';
import { isInKubernetes, kubernetesPosition } from './kubernetesPosition.js';
import { addressOfNode } from './nodeAddress.js';
import { isBegun, isComplete, type Launcher, localPosition, type Position } from './position.js';
import { isInSlurm, slurmPosition } from './slurmPosition.js';
import { authOf } from './tokens.js';
import { environmentError, optional, type Variables } from './variables.js';

/** How to read the environment. */
export interface EnvironmentOptions {
  /** The variables. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A worker waits for servers that do not listen yet, for so long at most; 0: not at all. Default 300,000. */
  readonly waitMs?: number;
  /** Its abort ends the wait. */
  readonly signal?: AbortSignal;
  /** Takes a line about every 5 s of waiting: which servers are awaited. Default: to stderr. */
  readonly log?: (line: string) => void;
}

interface PlaceFacts {
  /** Who started this process. */
  readonly launcher: Launcher;
  /** From 0, among the processes of the same role. */
  readonly rank: number;
  /** How many processes have this role. */
  readonly worldSize: number;
  /** The servers' urls in the order of their ranks, the shards of one model. */
  readonly servers: readonly string[];
}

/** This process is to be a server. */
export interface ServerPlace extends PlaceFacts {
  readonly role: 'server';
  /** How many workers there are to be; undefined if the environment does not say it. */
  readonly workers: number | undefined;
  /** What `new ParameterServer({ parameters, …, ...serverOptions })` needs to be found by the others. */
  readonly serverOptions: Pick<ParameterServerOptions, 'host' | 'path' | 'auth' | 'insecure' | 'dataDir'> & {
    readonly port: number;
    readonly shard: { readonly index: number; readonly count: number };
  };
}

/** This process is to be a worker. */
export interface WorkerPlace extends PlaceFacts {
  readonly role: 'worker';
  /** For `new Worker(servers, workerOptions)`: an id that is the same after a restart, and the token. */
  readonly workerOptions: Pick<WorkerOptions, 'token'> & { readonly id: string };
}

/** What `fromEnvironment` resolves with; `role` tells which. */
export type Place = ServerPlace | WorkerPlace;

/**
 * Reads this process's role, its rank, the number of its kind and the servers' urls from the environment. In a
 * worker it resolves when all servers take connections.
 *
 * Rejects with `PS_ENVIRONMENT` when something is missing or contradictory (`details.option` is the variable),
 * `PS_CONNECT_TIMEOUT` when servers have not come within `waitMs`, and `PS_ABORTED`.
 */
export async function fromEnvironment(options: EnvironmentOptions = {}): Promise<Place> {
  checkOptionObject('options', options, ['env', 'waitMs', 'signal', 'log']);
  const { env = process.env, waitMs = 300_000, signal, log = toStderr } = options;
  if (typeof waitMs !== 'number' || !(waitMs >= 0))
    throw invalidArgument('waitMs', waitMs, 'a number from 0');
  if (typeof log !== 'function') throw invalidArgument('log', log, 'a function');
  const position = positionIn(env, hostname());
  const urls = await urlsOfSites(position);
  if (position.role === 'server') return serverPlace(position, urls, env);
  if (waitMs > 0) await awaitServers(urls, { waitMs, signal, log });
  return workerPlace(position, urls, env);
}

/** The position that `env` tells of, in a process on the host `host`. Throws `PS_ENVIRONMENT`. */
export function positionIn(env: Variables, host: string): Position {
  if (isComplete(env)) return localPosition(env);
  if (isInSlurm(env)) return slurmPosition(env);
  if (isInKubernetes(env)) return kubernetesPosition(env, optional(env, 'HOSTNAME') ?? host);
  if (isBegun(env)) return localPosition(env);
  throw environmentError(
    'PSLIB_ROLE',
    'nobody has said which part of a training job this process is: start it with `pslib launch`, in Slurm or in Kubernetes',
  );
}

function urlsOfSites({ sites }: Position): Promise<string[]> {
  const addresses = new Map<string, Promise<string>>();
  return Promise.all(
    sites.map(async (site) => {
      if ('url' in site) return site.url;
      const address = addresses.get(site.node) ?? addressOfNode(site.node);
      addresses.set(site.node, address);
      const host = await address;
      return `ws://${host.includes(':') ? `[${host}]` : host}:${site.port}`;
    }),
  );
}

function factsOf({ launcher, rank, worldSize }: Position, servers: readonly string[]): PlaceFacts {
  return { launcher, rank, worldSize, servers };
}

function serverPlace(position: Position, urls: readonly string[], env: Variables): ServerPlace {
  const { hostname: host, port, protocol, pathname } = new URL(urls[position.rank] as string);
  const [dataDir, auth] = [optional(env, 'PSLIB_DATA_DIR'), authOf(env)];
  return {
    role: 'server',
    workers: position.workers,
    ...factsOf(position, urls),
    serverOptions: {
      host: hostToListenOn(host),
      port: Number(port) || (protocol === 'wss:' ? 443 : 80),
      shard: { index: position.rank, count: urls.length },
      ...(pathname === '/' ? {} : { path: pathname }),
      ...(auth === undefined ? {} : { auth }),
      ...(isSet(env, 'PSLIB_INSECURE') ? { insecure: true } : {}),
      ...(dataDir === undefined ? {} : { dataDir: join(dataDir, `server-${position.rank}`) }),
    },
  };
}

/** Loopback stays loopback. A name that others resolve may mean loopback on its own host: so, all addresses. */
function hostToListenOn(host: string): string {
  if (host === 'localhost' || host === '[::1]' || /^127\./.test(host)) return host.replace(/^\[|\]$/g, '');
  return host.startsWith('[') ? '::' : '0.0.0.0';
}

function workerPlace(position: Position, urls: readonly string[], env: Variables): WorkerPlace {
  const token = optional(env, 'PSLIB_TOKEN');
  return {
    role: 'worker',
    ...factsOf(position, urls),
    workerOptions: { id: `worker-${position.rank}`, ...(token === undefined ? {} : { token }) },
  };
}

function isSet(env: Variables, name: string): boolean {
  const value = optional(env, name);
  if (value === undefined || value === '0' || value === 'false') return false;
  if (value === '1' || value === 'true') return true;
  throw environmentError(name, `${name} must be 1 or 0, got "${value}"`);
}

function toStderr(line: string): void {
  process.stderr.write(`pslib: ${line}\n`);
}
