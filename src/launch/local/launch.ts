/**
 * `launch`: the servers and workers of one job as processes of this machine. `Supervisor` decides; here are
 * the processes, the timer, and their output as events. It prints nothing and installs no signal handler.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'eventemitter3';
import { monotonicNow } from '../../io/time.js';
import { type CheckedLaunchOptions, checkLaunchOptions, type LaunchOptions } from './launchOptions.js';
import { LineSplitter } from './lines.js';
import { freePorts } from './ports.js';
import { type Exit, type ProcessState, Supervisor, type SupervisorEffect } from './supervisor.js';

/** Servers are on loopback: who is on other machines is started by other means. */
const HOST = '127.0.0.1';

/** What is known of one process. */
export interface LaunchedProcess {
  /** `server-0`, `worker-3`. */
  readonly name: string;
  readonly role: 'server' | 'worker';
  readonly rank: number;
  /** `waiting`: it died and is to be started again. */
  readonly state: 'starting' | 'running' | 'waiting' | 'ended';
  /** Of the process that runs. */
  readonly pid: number | undefined;
  /** Starts after the first. */
  readonly restarts: number;
  /** What it adds to the exit code, once it has ended. */
  readonly exitCode: number | undefined;
}

/** How a job ended. */
export interface LaunchSummary {
  /** The worst exit code of a process's last run; 128 + n where signal n ended it or the job; 127 if it could not be started. */
  readonly exitCode: number;
  readonly processes: readonly LaunchedProcess[];
}

/** The events of a `Launch`. */
export interface LaunchEvents {
  /** The servers' urls are known; processes are started next. */
  starting: (event: { readonly servers: readonly string[] }) => void;
  /** A process was started; `restarts` is 0 the first time. */
  start: (event: { readonly name: string; readonly pid: number; readonly restarts: number }) => void;
  /** A process wrote a line. */
  line: (event: {
    readonly name: string;
    readonly stream: 'stdout' | 'stderr';
    readonly text: string;
  }) => void;
  /** A process ended. */
  exit: (event: LaunchedExit) => void;
  /** The job is being ended: why. */
  stopping: (event: { readonly reason: string }) => void;
}

/** How one process ended. */
export interface LaunchedExit extends Exit {
  readonly name: string;
  /** In how many milliseconds it is started again; undefined: not. */
  readonly restartInMs: number | undefined;
  /** Whether it had been told to end. */
  readonly isExpected: boolean;
}

/** Starts a job. Throws `PS_INVALID_ARGUMENT`; whatever goes wrong later is in `ended`. */
export function launch(options: LaunchOptions): Launch {
  return new Launch(checkLaunchOptions(options));
}

/** A job that runs: its processes, events, and its end. */
export class Launch extends EventEmitter<LaunchEvents> {
  /** Resolves when every process has ended. Rejects with `PS_CONNECT_FAILED` when there are no ports for the servers. */
  readonly ended: Promise<LaunchSummary>;
  readonly #options: CheckedLaunchOptions;
  readonly #supervisor: Supervisor;
  readonly #ranks = new Map<string, number>();
  readonly #children = new Map<string, ChildProcess>();
  readonly #onAbort = (): void => this.stop();
  #servers: readonly string[] = [];
  #isOpen = false;
  #timer: NodeJS.Timeout | undefined;
  #finish: (exitCode: number) => void = () => {};
  /** Events of the supervisor that came while its last effects were being carried out. */
  readonly #queue: Parameters<Supervisor['step']>[0][] = [];
  #isStepping = false;

  /** Use `launch`. */
  constructor(options: CheckedLaunchOptions) {
    super();
    this.#options = options;
    const named = (role: 'server' | 'worker', count: number) =>
      Array.from({ length: count }, (_, rank) => {
        this.#ranks.set(`${role}-${rank}`, rank);
        return { name: `${role}-${rank}`, role };
      });
    const all = [...named('server', options.servers), ...named('worker', options.workers)];
    this.#supervisor = new Supervisor(all, options.policy);
    this.ended = this.#run();
    // It may be awaited later.
    this.ended.catch(() => {});
  }

  /** The processes, servers first, by rank. */
  get processes(): LaunchedProcess[] {
    return Array.from(this.#supervisor.processes.values(), (each) => this.#describe(each));
  }

  /**
   * Ends the job: workers get `signal` (default `'SIGTERM'`), then, when they have ended, servers get SIGTERM.
   * Whoever takes too long is killed; a second call kills at once. Await `ended`.
   */
  stop(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#step({ kind: 'stop', signal, now: monotonicNow() });
  }

  /** The same as `stop()` and awaiting `ended`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.ended.catch(() => {});
  }

  async #run(): Promise<LaunchSummary> {
    const { servers, connect, port, signal } = this.#options;
    const ports = await freePorts(servers, HOST, port);
    this.#servers = servers === 0 ? connect : ports.map((each) => `ws://${HOST}:${each}`);
    this.emit('starting', { servers: this.#servers });
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    if (signal?.aborted === true) this.stop();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#isOpen = true;
    this.#step({ kind: 'start', now: monotonicNow() });
    const exitCode = await finished;
    signal?.removeEventListener('abort', this.#onAbort);
    return { exitCode, processes: this.processes };
  }

  #step(event: Parameters<Supervisor['step']>[0]): void {
    this.#queue.push(event);
    if (this.#isStepping || !this.#isOpen) return;
    this.#isStepping = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      for (const effect of this.#supervisor.step(next)) this.#carryOut(effect);
    }
    this.#isStepping = false;
    this.#setTimer();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const at = this.#supervisor.nextTickAt();
    if (at === undefined) return;
    const delayMs = Math.max(0, Math.ceil(at - monotonicNow()));
    this.#timer = setTimeout(() => this.#step({ kind: 'tick', now: monotonicNow() }), delayMs);
  }

  #carryOut(effect: SupervisorEffect): void {
    switch (effect.kind) {
      case 'spawn':
        this.#spawn(effect.name, effect.restarts);
        break;
      case 'signal':
        signalGroup(this.#children.get(effect.name), effect.signal);
        break;
      case 'exit': {
        const { name, exit, restartInMs, isExpected } = effect;
        this.emit('exit', { name, ...exit, restartInMs, isExpected });
        break;
      }
      case 'stopping':
        this.emit('stopping', { reason: effect.reason });
        break;
      case 'finished':
        this.#finish(effect.exitCode);
    }
  }

  #spawn(name: string, restarts: number): void {
    const [role] = name.split('-') as ['server' | 'worker'];
    const [program = '', ...args] = role === 'server' ? this.#options.serverCommand : this.#options.command;
    let child: ChildProcess;
    try {
      child = spawn(program, args, {
        cwd: this.#options.cwd,
        env: this.#environmentOf(role, this.#ranks.get(name) as number, restarts),
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own: a Ctrl-C of the terminal reaches it through us alone, and once.
        detached: true,
      });
    } catch (error) {
      const failure = (error as Error).message;
      this.#step({ kind: 'exited', name, exit: { code: null, signal: null, failure }, now: monotonicNow() });
      return;
    }
    this.#watch(name, program, child);
    if (child.pid !== undefined) this.emit('start', { name, pid: child.pid, restarts });
  }

  #watch(name: string, program: string, child: ChildProcess): void {
    this.#children.set(name, child);
    for (const stream of ['stdout', 'stderr'] as const) {
      const lines = new LineSplitter((text) => this.emit('line', { name, stream, text }));
      child[stream]?.on('data', (bytes: Buffer) => lines.write(bytes));
      child[stream]?.once('end', () => lines.end());
    }
    const onEnd = (exit: Exit): void => {
      if (this.#children.get(name) !== child) return;
      this.#children.delete(name);
      this.#step({ kind: 'exited', name, exit, now: monotonicNow() });
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      const failure = error.code === 'ENOENT' ? `"${program}" was not found` : error.message;
      onEnd({ code: null, signal: null, failure });
    });
    // Not `exit`: what it wrote last has then not been read yet. But something that it started may hold its
    // output open, which is not worth waiting for.
    child.once('exit', (code, signal) => {
      signalGroup(child, 'SIGKILL');
      const timer = setTimeout(onEnd, OUTPUT_GRACE_MS, { code, signal });
      child.once('close', () => {
        clearTimeout(timer);
        onEnd({ code, signal });
      });
    });
  }

  #environmentOf(role: 'server' | 'worker', rank: number, restarts: number): NodeJS.ProcessEnv {
    const { servers, workers, dataDir, env } = this.#options;
    return {
      ...process.env,
      ...env,
      ...(dataDir === undefined ? {} : { PSLIB_DATA_DIR: dataDir }),
      PSLIB_ROLE: role,
      PSLIB_RANK: String(rank),
      PSLIB_WORLD_SIZE: String(role === 'server' ? servers : workers),
      PSLIB_WORKER_COUNT: String(workers),
      PSLIB_SERVERS: this.#servers.join(','),
      PSLIB_RESTARTS: String(restarts),
    };
  }

  #describe({ name, role, state, restarts, exitCode }: ProcessState): LaunchedProcess {
    return {
      name,
      role,
      rank: this.#ranks.get(name) as number,
      state: state === 'new' ? 'starting' : state,
      pid: this.#children.get(name)?.pid,
      restarts,
      exitCode: state === 'ended' ? exitCode : undefined,
    };
  }
}

/** How long the output of a process that has ended is waited for. */
const OUTPUT_GRACE_MS = 1_000;

/** Signals `child` and what it has started, of which nothing may outlive it. One that has ended needs no signal. */
function signalGroup(child: ChildProcess | undefined, signal: NodeJS.Signals): void {
  if (child?.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It is gone.
  }
}
