/**
 * What becomes of the processes of a job: a function of what happens to them and of the time. It starts
 * nothing itself: its effects say what to start and whom to signal, `Launch` does it.
 *
 *     start ─▶ running ─ exit 0 ─────────────▶ ended
 *                │  ▲
 *     other exit ▼  │ after a delay
 *              waiting ─ no restart is left ─▶ ended
 *
 * The job is over when all have ended. When the last worker has, the servers are told to stop; before that, a
 * server's exit 0 is like any other. When a server has failed for good, the workers are told to stop too, since
 * they could not go on; one that ends well again and again means it, and the job goes on.
 */
import { constants } from 'node:os';

/** How a process ends. */
export interface Exit {
  /** Its status; null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It could not be started at all: why. Starting it again would not help. */
  readonly failure?: string;
}

/** What happens. */
export type SupervisorEvent =
  | { readonly kind: 'start'; readonly now: number }
  | { readonly kind: 'exited'; readonly name: string; readonly exit: Exit; readonly now: number }
  /** Someone wants the job to end: `signal` is passed on. */
  | { readonly kind: 'stop'; readonly signal: NodeJS.Signals; readonly now: number }
  | { readonly kind: 'tick'; readonly now: number };

/** What is to be done. */
export type SupervisorEffect =
  | { readonly kind: 'spawn'; readonly name: string; readonly restarts: number }
  | { readonly kind: 'signal'; readonly name: string; readonly signal: NodeJS.Signals }
  | {
      readonly kind: 'exit';
      readonly name: string;
      readonly exit: Exit;
      /** In how many milliseconds it is started again; undefined: it has ended. */
      readonly restartInMs: number | undefined;
      /** Whether it ended because it was told to. */
      readonly isExpected: boolean;
    }
  | { readonly kind: 'stopping'; readonly reason: string }
  | { readonly kind: 'finished'; readonly exitCode: number };

/** Bounds of restarting and of stopping. */
export interface SupervisorPolicy {
  /** Starts again after a failure, per process; 0: none. */
  readonly retries: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** A process that ran for so long gets all its retries back. */
  readonly healthyMs: number;
  /** How long a process may take to end before it is killed. */
  readonly stopTimeoutMs: number;
}

/** One process as the supervisor knows it. */
export interface ProcessState {
  readonly name: string;
  readonly role: 'server' | 'worker';
  state: 'new' | 'running' | 'waiting' | 'ended';
  /** Starts after the first. */
  restarts: number;
  /** Failures since it last ran for long. */
  failures: number;
  /** When it was last started. */
  startedAt: number;
  /** `waiting`: when it is started again. */
  restartAt: number;
  /** The signal it was last sent on our account. */
  told: NodeJS.Signals | undefined;
  /** When it is killed if it has not ended. */
  killAt: number;
  /** `ended`: what it adds to the exit code of the job. */
  exitCode: number;
}

/** Decides about the processes of one job. */
export class Supervisor {
  readonly processes: ReadonlyMap<string, ProcessState>;
  readonly #policy: SupervisorPolicy;
  /** The signal that ends the job; once it is set, nothing is started again. */
  #stopSignal: NodeJS.Signals | undefined;
  /** At least this: a job that was interrupted has not succeeded. */
  #exitCode = 0;
  #isFinished = false;
  #effects: SupervisorEffect[] = [];

  constructor(
    processes: readonly { readonly name: string; readonly role: 'server' | 'worker' }[],
    policy: SupervisorPolicy,
  ) {
    this.#policy = policy;
    this.processes = new Map(processes.map(({ name, role }) => [name, newProcess(name, role)]));
  }

  /** The one method that changes anything. */
  step(event: SupervisorEvent): SupervisorEffect[] {
    this.#effects = [];
    if (event.kind === 'start') this.#start(event.now);
    if (event.kind === 'exited') this.#onExit(event.name, event.exit, event.now);
    if (event.kind === 'stop') this.#onStop(event.signal, event.now);
    if (event.kind === 'tick') this.#onTick(event.now);
    this.#settle(event.now);
    return this.#effects;
  }

  /** When the next tick has something to do; undefined: not before something else happens. */
  nextTickAt(): number | undefined {
    const times = Array.from(this.processes.values()).flatMap(({ state, restartAt, killAt }) => {
      if (state === 'waiting') return [restartAt];
      return state === 'running' && killAt < Number.POSITIVE_INFINITY ? [killAt] : [];
    });
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #start(now: number): void {
    for (const process of this.processes.values()) {
      // It may have been stopped before it began.
      if (this.#stopSignal === undefined) this.#spawn(process, now);
      else this.#end(process, 0);
    }
  }

  #spawn(process: ProcessState, now: number): void {
    process.state = 'running';
    process.startedAt = now;
    this.#effects.push({ kind: 'spawn', name: process.name, restarts: process.restarts });
  }

  #onExit(name: string, exit: Exit, now: number): void {
    const process = this.processes.get(name);
    if (process?.state !== 'running') return;
    if (now - process.startedAt >= this.#policy.healthyMs) process.failures = 0;
    const isExpected = process.told !== undefined && wasTold(process.told, exit);
    const isLost = exit.failure !== undefined || this.#stopSignal !== undefined;
    const mayRestart = !isLost && process.failures < this.#policy.retries && process.told === undefined;
    const isDone = exit.code === 0 && !(process.role === 'server' && this.#hasWorkers());
    if (isDone || isExpected || !mayRestart) {
      this.#end(process, isExpected ? 0 : exitCodeOf(exit));
      this.#effects.push({ kind: 'exit', name, exit, restartInMs: undefined, isExpected });
      return;
    }
    const { minDelayMs, maxDelayMs } = this.#policy;
    const restartInMs = Math.min(maxDelayMs, minDelayMs * 2 ** process.failures);
    process.failures += 1;
    process.state = 'waiting';
    process.restartAt = now + restartInMs;
    this.#effects.push({ kind: 'exit', name, exit, restartInMs, isExpected });
  }

  /** Whether anyone may still need a server. */
  #hasWorkers(): boolean {
    return [...this.processes.values()].some(({ role, state }) => role === 'worker' && state !== 'ended');
  }

  #end(process: ProcessState, exitCode: number): void {
    process.state = 'ended';
    process.exitCode = exitCode;
    process.killAt = Number.POSITIVE_INFINITY;
  }

  #onStop(signal: NodeJS.Signals, now: number): void {
    if (this.#isFinished) return;
    const isRepeated = this.#stopSignal !== undefined;
    this.#exitCode = Math.max(this.#exitCode, 128 + constants.signals[signal]);
    if (isRepeated) {
      // Whoever asks twice does not want to wait.
      for (const process of this.processes.values()) this.#tell(process, 'SIGKILL', now);
      return;
    }
    this.#stop(signal, `${signal} was received`, now);
  }

  /** Workers first: what they still push is in the servers' last checkpoint. */
  #stop(signal: NodeJS.Signals, reason: string, now: number): void {
    this.#stopSignal = signal;
    this.#effects.push({ kind: 'stopping', reason });
    for (const process of this.processes.values()) {
      if (process.role === 'worker' || process.state === 'waiting') this.#tell(process, signal, now);
    }
  }

  #tell(process: ProcessState, signal: NodeJS.Signals, now: number): void {
    if (process.state === 'waiting') this.#end(process, 0);
    if (process.state !== 'running') return;
    process.told = signal;
    process.killAt = signal === 'SIGKILL' ? Number.POSITIVE_INFINITY : now + this.#policy.stopTimeoutMs;
    this.#effects.push({ kind: 'signal', name: process.name, signal });
  }

  #onTick(now: number): void {
    for (const process of this.processes.values()) {
      if (process.state === 'waiting' && now >= process.restartAt) {
        process.restarts += 1;
        this.#spawn(process, now);
      } else if (process.state === 'running' && now >= process.killAt) {
        this.#tell(process, 'SIGKILL', now);
      }
    }
  }

  /** What follows from the states as they are now. */
  #settle(now: number): void {
    const all = [...this.processes.values()];
    const servers = all.filter(({ role }) => role === 'server');
    const workers = all.filter(({ role }) => role === 'worker');
    const failed = servers.find(({ state, exitCode }) => state === 'ended' && exitCode !== 0);
    if (failed !== undefined && this.#stopSignal === undefined) {
      this.#stop('SIGTERM', `${failed.name} can't be restarted, and the others need it`, now);
    }
    const areWorkersDone = workers.every(({ state }) => state === 'ended');
    if (areWorkersDone && (workers.length > 0 || this.#stopSignal !== undefined)) {
      for (const server of servers) if (server.told === undefined) this.#tell(server, 'SIGTERM', now);
    }
    if (this.#isFinished || all.some(({ state }) => state !== 'ended')) return;
    this.#isFinished = true;
    const exitCode = Math.max(this.#exitCode, ...all.map((process) => process.exitCode));
    this.#effects.push({ kind: 'finished', exitCode });
  }
}

function newProcess(name: string, role: 'server' | 'worker'): ProcessState {
  return {
    ...{ name, role, state: 'new', restarts: 0, failures: 0, startedAt: 0, restartAt: 0 },
    ...{ told: undefined, killAt: Number.POSITIVE_INFINITY, exitCode: 0 },
  };
}

/** Whether `exit` is what a program does that was sent `signal` and has no handler, or ends well. A kill of ours is not. */
function wasTold(signal: NodeJS.Signals, { code, signal: endedBy }: Exit): boolean {
  if (code === 0) return true;
  if (signal === 'SIGKILL') return false;
  return endedBy === signal || code === 128 + constants.signals[signal];
}

/** The status as a shell counts it. */
function exitCodeOf({ code, signal, failure }: Exit): number {
  if (failure !== undefined) return 127;
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
