/**
 * The position of a container in Kubernetes. Servers are the pods of a StatefulSet behind a headless
 * Service, so pod i has the name `set-i` and the address `set-i.service`. Workers get their rank from an
 * indexed Job, or are a StatefulSet too. `deploy/kubernetes` sets the variables that are read here.
 */
import { checked, type Position, requiredRole, serverCountOf, sitesOf, workerCountOf } from './position.js';
import {
  DEFAULT_PORT,
  environmentError,
  integerOf,
  integerOr,
  MAX_PROCESSES,
  optional,
  required,
  type Variables,
} from './variables.js';

/** Whether the process runs in a pod. */
export function isInKubernetes(variables: Variables): boolean {
  return optional(variables, 'KUBERNETES_SERVICE_HOST') !== undefined;
}

/** Reads the variables of a container, and `hostname`, which is the pod's name. Throws `PS_ENVIRONMENT`. */
export function kubernetesPosition(variables: Variables, hostname: string): Position {
  const role = requiredRole(variables, 'Kubernetes');
  const servers = serverCountOf(variables);
  const sites = sitesOf(variables) ?? sitesBehind(variables, servers);
  const launcher = 'kubernetes';
  if (role === 'worker') {
    const { rank, worldSize } = workerRank(variables, hostname);
    return { launcher, role, rank, worldSize, sites, workers: worldSize };
  }
  const set = setName(variables);
  const [, stem, ordinal] = /^(.+)-(\d+)$/.exec(hostname) ?? [];
  if (ordinal === undefined || (set !== undefined && stem !== set)) {
    throw environmentError(
      'HOSTNAME',
      `a server's host name must be ${set ?? 'NAME'}-N, the pod's name in a StatefulSet, got "${hostname}"`,
    );
  }
  const rank = Number(ordinal);
  if (rank >= servers) {
    throw environmentError(
      'PSLIB_SERVER_COUNT',
      `PSLIB_SERVER_COUNT is ${servers}, but this is the pod ${hostname}: the StatefulSet has more replicas`,
    );
  }
  const workers = workerCountOf(variables);
  return checked({ launcher, role, rank, worldSize: servers, sites, workers });
}

function workerRank(variables: Variables, hostname: string): { rank: number; worldSize: number } {
  const size = required(variables, 'PSLIB_WORLD_SIZE', 'it says how many workers there are');
  const worldSize = integerOf('PSLIB_WORLD_SIZE', size, 1, MAX_PROCESSES);
  for (const name of ['PSLIB_RANK', 'JOB_COMPLETION_INDEX']) {
    const text = optional(variables, name);
    if (text !== undefined) return { rank: integerOf(name, text, 0, worldSize - 1), worldSize };
  }
  const [, ordinal] = /-(\d+)$/.exec(hostname) ?? [];
  if (ordinal !== undefined) return { rank: integerOf('HOSTNAME', ordinal, 0, worldSize - 1), worldSize };
  throw environmentError(
    'JOB_COMPLETION_INDEX',
    `the rank of the worker "${hostname}" is not known: run workers as an indexed Job or a StatefulSet, or set PSLIB_RANK`,
  );
}

function sitesBehind(variables: Variables, servers: number): { url: string }[] {
  const service = required(variables, 'PSLIB_SERVICE', "it names the servers' headless Service");
  const namespace = optional(variables, 'PSLIB_NAMESPACE');
  const domain = namespace === undefined ? service : `${service}.${namespace}.svc`;
  const port = integerOr(variables, 'PSLIB_PORT', DEFAULT_PORT, [1, 65_535]);
  const set = setName(variables);
  return Array.from({ length: servers }, (_, i) => ({ url: `ws://${set}-${i}.${domain}:${port}` }));
}

/** The servers' StatefulSet: it has the name of their Service unless `PSLIB_STATEFULSET` says otherwise. */
function setName(variables: Variables): string | undefined {
  return optional(variables, 'PSLIB_STATEFULSET') ?? optional(variables, 'PSLIB_SERVICE');
}
