/**
 * What every launcher tells a process: its role, its rank among those of the role, and where the servers
 * are. `localPosition` reads it from the variables of `pslib launch`, which anyone else may set too.
 */
import {
  environmentError,
  integerOf,
  MAX_PROCESSES,
  optional,
  required,
  roleOf,
  urlsOf,
  type Variables,
} from './variables.js';

/** Who started the processes. */
export type Launcher = 'local' | 'slurm' | 'kubernetes';

/** Where one server is: its url, or the Slurm node whose address is still to be found, and the port. */
export type ServerSite = { readonly url: string } | { readonly node: string; readonly port: number };

/** What the environment says before any name is resolved. */
export interface Position {
  readonly launcher: Launcher;
  readonly role: 'server' | 'worker';
  /** From 0, among the processes of this role. */
  readonly rank: number;
  /** How many processes have this role. */
  readonly worldSize: number;
  /** In the order of the servers' ranks. */
  readonly sites: readonly ServerSite[];
  /** How many workers there are to be; undefined: nobody has said it. */
  readonly workers: number | undefined;
}

const VARIABLES = ['PSLIB_ROLE', 'PSLIB_RANK', 'PSLIB_WORLD_SIZE', 'PSLIB_SERVERS'] as const;

/** Whether the variables of `pslib launch` are all there, so that no scheduler need be asked. */
export function isComplete(variables: Variables): boolean {
  return VARIABLES.every((name) => optional(variables, name) !== undefined);
}

/** Whether any of them is there. */
export function isBegun(variables: Variables): boolean {
  return VARIABLES.some((name) => optional(variables, name) !== undefined);
}

/** The position that the variables of `pslib launch` tell of. Throws `PS_ENVIRONMENT`. */
export function localPosition(variables: Variables): Position {
  const [first, ...others] = VARIABLES.filter((name) => optional(variables, name) === undefined);
  if (first !== undefined) {
    const given = VARIABLES.filter((name) => optional(variables, name) !== undefined);
    const missing = [first, ...others].join(', ');
    const verb = others.length === 0 ? 'is' : 'are';
    throw environmentError(first, `${missing} ${verb} not set, but ${given.join(', ')}: all four are needed`);
  }
  const worldSize = integerOf('PSLIB_WORLD_SIZE', variables.PSLIB_WORLD_SIZE as string, 1, MAX_PROCESSES);
  const rank = integerOf('PSLIB_RANK', variables.PSLIB_RANK as string, 0, worldSize - 1);
  const role = roleOf(variables) as 'server' | 'worker';
  const workers = role === 'worker' ? worldSize : workerCountOf(variables);
  return checked({ launcher: 'local', role, rank, worldSize, sites: sitesOf(variables) ?? [], workers });
}

/** The sites of `PSLIB_SERVERS`; undefined if it is not set. */
export function sitesOf(variables: Variables): ServerSite[] | undefined {
  return urlsOf(variables)?.map((url) => ({ url }));
}

/** `position`, if its parts agree. Throws `PS_ENVIRONMENT` otherwise. */
export function checked(position: Position): Position {
  const { role, worldSize, sites } = position;
  if (role === 'server' && sites.length !== worldSize) {
    throw environmentError(
      'PSLIB_SERVERS',
      `PSLIB_SERVERS names ${sites.length} servers, but ${worldSize} processes are servers`,
    );
  }
  return position;
}

/** How many servers `PSLIB_SERVER_COUNT` or the list of their urls says there are; 1 if neither does. */
export function serverCountOf(variables: Variables): number {
  const urls = urlsOf(variables);
  const text = optional(variables, 'PSLIB_SERVER_COUNT');
  if (text === undefined) return urls?.length ?? 1;
  const count = integerOf('PSLIB_SERVER_COUNT', text, 1, MAX_PROCESSES);
  if (urls !== undefined && urls.length !== count) {
    const message = `PSLIB_SERVER_COUNT is ${count}, but PSLIB_SERVERS names ${urls.length} servers`;
    throw environmentError('PSLIB_SERVER_COUNT', message);
  }
  return count;
}

/** How many workers `PSLIB_WORKER_COUNT` says there are; undefined if it is not set. */
export function workerCountOf(variables: Variables): number | undefined {
  const text = optional(variables, 'PSLIB_WORKER_COUNT');
  return text === undefined ? undefined : integerOf('PSLIB_WORKER_COUNT', text, 0, MAX_PROCESSES);
}

/** The role of a process whose launcher does not say it in another way. */
export function requiredRole(variables: Variables, launcher: string): 'server' | 'worker' {
  required(variables, 'PSLIB_ROLE', `in ${launcher} it says "server" or "worker"`);
  return roleOf(variables) as 'server' | 'worker';
}
