/**
 * A Slurm of this machine, for tests: munged, slurmctld and a slurmd for each pretended node, all in the
 * foreground as children of this process, with keys, sockets, state and logs in a folder of their own. Nothing of
 * a Slurm that the machine may have is touched.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAMS = ['munged', 'slurmctld', 'slurmd', 'srun', 'sbatch', 'scontrol', 'sinfo'];
const START_TIMEOUT_MS = 30_000;

/** The programs of Slurm that this machine lacks. */
export function missingPrograms(): string[] {
  const folders = ['/usr/sbin', '/sbin', ...(process.env.PATH ?? '').split(delimiter)];
  return PROGRAMS.filter((program) => !folders.some((folder) => isExecutable(join(folder, program))));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A running Slurm with some nodes. */
export class SlurmCluster {
  /** `n1`, `n2`, … */
  readonly nodes: readonly string[];
  /** Where all of it is kept; jobs may use it too. */
  readonly folder: string = mkdtempSync(join(tmpdir(), 'pslib-slurm-'));
  readonly #daemons = new Map<string, ChildProcess>();
  readonly #conf = join(this.folder, 'slurm.conf');

  constructor(nodes: number) {
    this.nodes = Array.from({ length: nodes }, (_, i) => `n${i + 1}`);
  }

  /** The variables by which Slurm's commands find this cluster. */
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, SLURM_CONF: this.#conf };
  }

  /** Starts all daemons; resolves when every node is idle. */
  async start(): Promise<void> {
    for (const name of ['state', 'spool', 'log', 'munge'])
      mkdirSync(join(this.folder, name), { mode: 0o755 });
    // munged wants its socket to be reachable for everyone.
    chmodSync(this.folder, 0o755);
    const munge = (name: string): string => join(this.folder, 'munge', name);
    writeFileSync(munge('key'), randomBytes(128), { mode: 0o600 });
    writeFileSync(this.#conf, await this.#configuration());
    const places = ['key-file', 'socket', 'pid-file', 'log-file', 'seed-file'].map(
      (name) => `--${name}=${munge(name.split('-')[0] as string)}`,
    );
    this.#spawn('munged', ['munged', '--foreground', ...places]);
    await this.until('munged listens', async () => existsSync(munge('socket')));
    this.#spawn('slurmctld', ['slurmctld', '-D', '-f', this.#conf]);
    for (const node of this.nodes) this.startNode(node);
    await this.until('all nodes are idle', async () => {
      const { out } = await this.run('sinfo', ['--noheader', '--format=%D %t']);
      return out.trim() === `${this.nodes.length} idle`;
    });
  }

  /** Starts the daemon of one node. */
  startNode(node: string): void {
    this.#spawn(node, ['slurmd', '-D', '-f', this.#conf, '-N', node]);
  }

  /** Kills the daemon of a node and every process of `job` on it: the node is gone. */
  async loseNode(node: string, job: string): Promise<void> {
    const daemon = this.#daemons.get(node);
    const gone = daemon === undefined ? undefined : once(daemon, 'exit');
    daemon?.kill('SIGKILL');
    await gone;
    for (const pid of await processesWith({ SLURM_JOB_ID: job, SLURMD_NODENAME: node })) kill(pid);
  }

  /** Runs a command of Slurm to its end. */
  run(program: string, args: readonly string[]): Promise<{ code: number; out: string }> {
    return new Promise((resolve) => {
      execFile(program, args, { env: this.env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: stdout + stderr });
      });
    });
  }

  /** Waits until `isSo`, asking again and again, since Slurm tells of nothing by itself. */
  async until(what: string, isSo: () => Promise<boolean>, timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!(await isSo())) {
      if (performance.now() > end) throw new Error(`in vain waited until ${what}\n${this.logs()}`);
      await sleep(50);
    }
  }

  /** The ends of all logs, for a failure. */
  logs(): string {
    const last = (name: string): string => {
      const text = readFileSync(join(this.folder, 'log', name), 'utf8');
      return `== ${name}\n${text.split('\n').slice(-15).join('\n')}`;
    };
    return [...this.#daemons.keys()].map((name) => last(`${name}.log`)).join('\n');
  }

  /** Ends the daemons, those of the nodes first and munged last, and removes the folder. */
  async stop(): Promise<void> {
    await this.run('scancel', ['--signal=KILL', '--full', '--state=RUNNING']);
    for (const names of [this.nodes, ['slurmctld'], ['munged']])
      await Promise.all(names.map((name) => this.#end(name)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(name: string): Promise<void> {
    const daemon = this.#daemons.get(name);
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, 'exit');
    const timer = setTimeout(() => daemon.kill('SIGKILL'), 5_000);
    daemon.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
  }

  #spawn(name: string, [program = '', ...args]: readonly string[]): void {
    const log = openSync(join(this.folder, 'log', `${name}.log`), 'a');
    this.#daemons.set(name, spawn(program, args, { env: this.env, stdio: ['ignore', log, log] }));
    closeSync(log);
  }

  async #configuration(): Promise<string> {
    const host = hostname().split('.')[0];
    const [controller, ...ports] = await freePorts(1 + this.nodes.length);
    const path = (name: string): string => join(this.folder, name);
    const lines = [
      'ClusterName=pslib',
      `SlurmctldHost=${host}(127.0.0.1)`,
      ...['SlurmUser=root', 'SlurmdUser=root'],
      // A job that is requeued waits as long as the old credential lives; started sooner, a node may refuse it.
      ...['AuthType=auth/munge', `AuthInfo=socket=${path('munge/socket')},cred_expire=10`],
      ...['CredType=cred/munge', 'SchedulerParameters=sched_interval=1,bf_interval=1'],
      // Loopback only.
      'CommunicationParameters=NoInAddrAny,NoCtldInAddrAny',
      ...['ProctrackType=proctrack/linuxproc', 'TaskPlugin=task/none', 'MpiDefault=none'],
      ...['SelectType=select/cons_tres', 'SelectTypeParameters=CR_Core'],
      ...['AccountingStorageType=accounting_storage/none', 'JobAcctGatherType=jobacct_gather/none'],
      ...['JobCompType=jobcomp/none', 'ReturnToService=2', 'SlurmdTimeout=10', 'KillWait=5'],
      // A node may have more CPUs than this machine.
      'SlurmdParameters=config_overrides',
      ...[`SlurmctldPort=${controller}`, `SlurmctldPidFile=${path('slurmctld.pid')}`],
      ...[`SlurmdPidFile=${path('slurmd-%n.pid')}`, `SlurmdSpoolDir=${path('spool/%n')}`],
      `StateSaveLocation=${path('state')}`,
      ...this.nodes.map(
        (node, i) => `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=4`,
      ),
      `PartitionName=all Nodes=${this.nodes.join(',')} Default=YES State=UP MaxTime=INFINITE`,
    ];
    return `${lines.join('\n')}\n`;
  }
}

/** Processes of this machine that have these variables. */
async function processesWith(variables: Readonly<Record<string, string>>): Promise<number[]> {
  const wanted = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    const has = new Set(environment.split('\0'));
    if (wanted.every((each) => has.has(each))) found.push(Number(name));
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
