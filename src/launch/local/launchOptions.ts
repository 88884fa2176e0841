/** The options of `launch`: what they mean, their defaults, and their checks. */
import { describe, invalidArgument, PsError } from '../../core/base/errors.js';
import { checkOptionObject, integer } from '../../core/base/optionObject.js';
import type { SupervisorPolicy } from './supervisor.js';

/** How processes that die are started again. */
export interface RestartOptions {
  /** Starts after the first, per process; 0: none. One that ran for `healthyMs` gets them back. Default 5. */
  readonly retries?: number;
  /** Delay before the first restart; it doubles each time. Default 500. */
  readonly minDelayMs?: number;
  /** The longest delay. Default 30,000. */
  readonly maxDelayMs?: number;
  /** Default 60,000. */
  readonly healthyMs?: number;
}

/** What `launch` starts. */
export interface LaunchOptions {
  /** The program of every process, such as `['node', 'train.js']`. It is not run by a shell. */
  readonly command: readonly string[];
  /** The program of the servers, where it is another one. Default `command`. */
  readonly serverCommand?: readonly string[];
  /** Server processes; 0: workers use those of `connect`. Default 1. */
  readonly servers?: number;
  /** Worker processes. Default 1. */
  readonly workers?: number;
  /** With `servers: 0`: the urls of the servers, which run elsewhere. */
  readonly connect?: readonly string[];
  /** The port of the first server; the others have those behind it. Default any free ones. */
  readonly port?: number;
  /** Each server keeps its state in `dataDir/server-N`. Default: in memory. */
  readonly dataDir?: string;
  /** Working directory. Default this process's. */
  readonly cwd?: string;
  /** Variables beside those of this process and `PSLIB_…`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What to do with processes that die; false: leave them dead. */
  readonly restart?: RestartOptions | false;
  /** How long a process may take to end when it is told to, before it is killed. Default 40,000. */
  readonly stopTimeoutMs?: number;
  /** Its abort ends the job as SIGTERM would. */
  readonly signal?: AbortSignal;
}

/** The same after the checks, with defaults. */
export interface CheckedLaunchOptions
  extends Required<Pick<LaunchOptions, 'command' | 'serverCommand' | 'servers' | 'workers' | 'connect'>>,
    Pick<LaunchOptions, 'port' | 'dataDir' | 'cwd' | 'env' | 'signal'> {
  readonly policy: SupervisorPolicy;
}

/** More on one machine are a mistake. */
const MAX_LOCAL = 1024;

const KEYS = [
  ...([
    'command',
    'serverCommand',
    'servers',
    'workers',
    'connect',
    'port',
    'dataDir',
    'cwd',
    'env',
  ] as const),
  ...(['restart', 'stopTimeoutMs', 'signal'] as const),
];

/** Checks `options`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkLaunchOptions(options: LaunchOptions): CheckedLaunchOptions {
  checkOptionObject('options', options, KEYS);
  const command = checkCommand('command', options.command);
  const servers = count('servers', options.servers ?? 1);
  const workers = count('workers', options.workers ?? 1);
  if (servers + workers === 0) throw invalidArgument('workers', workers, 'above 0 where servers is 0');
  const { port, dataDir, cwd, env, signal } = options;
  if (port !== undefined) integer('port', port, 1);
  if (port !== undefined && port + servers > 65_536) {
    throw invalidArgument('port', port, `at most ${65_536 - servers}, for ${servers} servers`);
  }
  if (dataDir !== undefined && (typeof dataDir !== 'string' || dataDir === '')) {
    throw invalidArgument('dataDir', dataDir, 'the path of a directory');
  }
  return {
    command,
    serverCommand:
      options.serverCommand === undefined ? command : checkCommand('serverCommand', options.serverCommand),
    ...{ servers, workers, connect: checkConnect(options.connect, servers), port, dataDir, cwd, env, signal },
    policy: {
      ...checkRestart(options.restart),
      stopTimeoutMs: positive('stopTimeoutMs', options.stopTimeoutMs ?? 40_000),
    },
  };
}

function checkCommand(option: string, command: unknown): readonly string[] {
  const isCommand =
    Array.isArray(command) && command.length > 0 && command.every((each) => typeof each === 'string');
  if (!isCommand || command[0] === '') {
    throw invalidArgument(option, command, "a program and its arguments, such as ['node', 'train.js']");
  }
  return command as string[];
}

function checkConnect(connect: readonly string[] | undefined, servers: number): readonly string[] {
  if ((connect === undefined) !== servers > 0) {
    throw invalidArgument('connect', connect, 'given where servers is 0, and only there');
  }
  if (connect === undefined) return [];
  const isUrl = (url: unknown): boolean => typeof url === 'string' && /^wss?:\/\/[^\s,]+$/.test(url);
  if (!Array.isArray(connect) || connect.length === 0 || !connect.every(isUrl)) {
    throw invalidArgument('connect', connect, 'ws: or wss: urls');
  }
  return connect;
}

function checkRestart(given: RestartOptions | false | undefined): Omit<SupervisorPolicy, 'stopTimeoutMs'> {
  const options = checkOptionObject('restart', given === false ? { retries: 0 } : (given ?? {}), [
    'retries',
    'minDelayMs',
    'maxDelayMs',
    'healthyMs',
  ]);
  const { retries = 5, minDelayMs = 500, maxDelayMs = 30_000, healthyMs = 60_000 } = options;
  if (typeof retries !== 'number' || !(retries >= 0)) {
    throw invalidArgument('restart.retries', retries, 'a number from 0');
  }
  return {
    retries,
    minDelayMs: positive('restart.minDelayMs', minDelayMs),
    maxDelayMs: positive('restart.maxDelayMs', maxDelayMs),
    healthyMs: positive('restart.healthyMs', healthyMs),
  };
}

function count(option: string, value: unknown): number {
  const checked = integer(option, value, 0);
  if (checked <= MAX_LOCAL) return checked;
  throw new PsError('PS_INVALID_ARGUMENT', `${option} must be at most ${MAX_LOCAL}, got ${describe(value)}`, {
    details: { option },
  });
}

function positive(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0) return value;
  throw invalidArgument(option, value, 'a number > 0, in milliseconds');
}
