/**
 * The position of a process that `srun` started. Two shapes are known: one step whose first ranks are the
 * servers, and steps of their own for servers and workers, told apart by `PSLIB_ROLE`. From the node list
 * and the number of tasks on each node every process finds, without asking anyone, where each server runs.
 */
import { expandNodeList, expandTaskCounts } from './nodeList.js';
import {
  checked,
  type Position,
  type ServerSite,
  serverCountOf,
  sitesOf,
  workerCountOf,
} from './position.js';
import {
  environmentError,
  integerOf,
  integerOr,
  MAX_PROCESSES,
  optional,
  required,
  roleOf,
  type Variables,
} from './variables.js';

/** Whether the process belongs to a Slurm job. */
export function isInSlurm(variables: Variables): boolean {
  return optional(variables, 'SLURM_JOB_ID') !== undefined;
}

/** Reads the variables of `srun`. Throws `PS_ENVIRONMENT`. */
export function slurmPosition(variables: Variables): Position {
  const hint = 'start the program with srun, not in the batch script itself';
  required(variables, 'SLURM_STEP_ID', hint);
  const size = required(variables, 'SLURM_NTASKS', hint);
  const tasks = integerOf('SLURM_NTASKS', size, 1, MAX_PROCESSES);
  const taskRank = integerOf('SLURM_PROCID', required(variables, 'SLURM_PROCID', hint), 0, tasks - 1);
  const role = roleOf(variables);
  return role === undefined ? oneStep(variables, taskRank, tasks) : ownStep(variables, role, taskRank, tasks);
}

/** Servers are the first ranks of the step, workers all others. */
function oneStep(variables: Variables, taskRank: number, tasks: number): Position {
  const servers = serverCountOf(variables);
  if (tasks <= servers) {
    throw environmentError(
      'SLURM_NTASKS',
      `${tasks} tasks leave no worker beside ${servers} servers: ask srun for more tasks, or set PSLIB_ROLE`,
    );
  }
  const sites = sitesOf(variables) ?? sitesOn(variables, stepLayout(variables, tasks).slice(0, servers));
  const isServer = taskRank < servers;
  if (isServer) checkNode(variables, sites[taskRank]);
  return {
    launcher: 'slurm',
    role: isServer ? 'server' : 'worker',
    rank: isServer ? taskRank : taskRank - servers,
    worldSize: isServer ? servers : tasks - servers,
    sites,
    workers: tasks - servers,
  };
}

/** The step is all servers or all workers. Server i runs on the i-th of PSLIB_SERVER_NODES, by default of the job's nodes. */
function ownStep(variables: Variables, role: 'server' | 'worker', rank: number, worldSize: number): Position {
  const isCounted = optional(variables, 'PSLIB_SERVER_COUNT') ?? optional(variables, 'PSLIB_SERVERS');
  const servers = role === 'server' && isCounted === undefined ? worldSize : serverCountOf(variables);
  const sites = sitesOf(variables) ?? sitesOn(variables, serverNodes(variables, servers));
  if (role === 'server' && servers === worldSize) checkNode(variables, sites[rank]);
  const workers = role === 'worker' ? worldSize : workerCountOf(variables);
  return checked({ launcher: 'slurm', role, rank, worldSize, sites, workers });
}

function serverNodes(variables: Variables, servers: number): string[] {
  const name = optional(variables, 'PSLIB_SERVER_NODES') ? 'PSLIB_SERVER_NODES' : 'SLURM_JOB_NODELIST';
  const nodes = expandNodeList(name, required(variables, name, 'it says on which nodes the servers run'));
  if (nodes.length >= servers) return nodes.slice(0, servers);
  const message = `${name} names ${nodes.length} nodes for ${servers} servers; name each server's in PSLIB_SERVER_NODES`;
  throw environmentError(name, message);
}

/** The node of each rank of this step. */
function stepLayout(variables: Variables, tasks: number): string[] {
  const reason = 'it says where the ranks of the step run';
  const names = required(variables, 'SLURM_STEP_NODELIST', reason);
  const nodes = expandNodeList('SLURM_STEP_NODELIST', names);
  const counts = expandTaskCounts(
    'SLURM_STEP_TASKS_PER_NODE',
    required(variables, 'SLURM_STEP_TASKS_PER_NODE', reason),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (counts.length !== nodes.length || total !== tasks) {
    throw environmentError(
      'SLURM_STEP_TASKS_PER_NODE',
      `SLURM_STEP_TASKS_PER_NODE has ${total} tasks on ${counts.length} nodes, but the step has ${tasks} on ${nodes.length}`,
    );
  }
  const distribution = optional(variables, 'SLURM_DISTRIBUTION')?.split(/[:,]/)[0] ?? 'block';
  if (distribution === 'cyclic') return dealt(nodes, counts);
  if (distribution === 'block') return nodes.flatMap((node, i) => Array(counts[i]).fill(node));
  throw environmentError(
    'SLURM_DISTRIBUTION',
    `where ranks run with the distribution "${distribution}" is not known: use block or cyclic, or set PSLIB_SERVERS`,
  );
}

/** One rank to each node in turn, as long as it has room. */
function dealt(nodes: readonly string[], counts: readonly number[]): string[] {
  const rounds = Math.max(...counts);
  return Array.from({ length: rounds }, (_, round) =>
    nodes.filter((_node, i) => (counts[i] as number) > round),
  ).flat();
}

function sitesOn(variables: Variables, nodes: readonly string[]): ServerSite[] {
  const first = integerOr(variables, 'PSLIB_PORT', jobPort(variables, nodes.length), [1, 65_535]);
  return nodes.map((node, i) => ({ node, port: first + i }));
}

/** Jobs take their ports from 20,000 on; so many. */
const JOB_PORTS = 11_200;
/** A job takes so many ports, or a multiple of it. */
const PORTS_OF_JOB = 16;

/**
 * The first of a job's ports, which all its processes agree on. Those of the next jobs with as many servers begin behind
 * the last of them.
 */
function jobPort(variables: Variables, servers: number): number {
  const name = required(variables, 'SLURM_JOB_ID', 'it names the job');
  const job = integerOf('SLURM_JOB_ID', name, 0, Number.MAX_SAFE_INTEGER);
  const ports = Math.ceil(servers / PORTS_OF_JOB) * PORTS_OF_JOB;
  return 20_000 + (job % Math.max(1, Math.floor(JOB_PORTS / ports))) * ports;
}

/** A server that does not run where the others will look for it must not start: they would wait in vain. */
function checkNode(variables: Variables, site: ServerSite | undefined): void {
  const own = optional(variables, 'SLURMD_NODENAME');
  if (site === undefined || own === undefined || !('node' in site) || site.node === own) return;
  throw environmentError(
    'SLURMD_NODENAME',
    `this server runs on ${own}, but is looked for on ${site.node}: name the servers' nodes in PSLIB_SERVER_NODES`,
  );
}
