/** `pslib launch -- COMMAND`: the servers and workers of a job as processes of this machine. */
import { Command } from 'commander';
import { launch } from '../launch/local/launch.js';
import { integerArgument, secondsArgument } from './arguments.js';
import { LaunchView } from './launchView.js';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Flags {
  readonly servers?: number;
  readonly workers: number;
  readonly serve?: string;
  readonly connect?: string[];
  readonly port?: number;
  readonly dataDir?: string;
  readonly restarts: number;
  readonly stopTimeout?: number;
}

/** The subcommand. Its exit code is the worst of the processes'. */
export function launchCommand(): Command {
  return new Command('launch')
    .description(
      'Start servers and workers as processes of this machine, restart those that die, and end with the worst exit code.',
    )
    .argument('<command...>', 'the program of every process, behind --')
    .option('-s, --servers <n>', 'server processes (default: 1, or 0 with --connect)', integerArgument)
    .option('-w, --workers <n>', 'worker processes', integerArgument, 1)
    .option('--serve <file>', 'servers run `pslib serve FILE` instead of the command')
    .option('--connect <urls...>', 'start no servers: workers use these')
    .option('--port <n>', 'port of the first server (default: any free ones)', integerArgument)
    .option('--data-dir <dir>', 'servers keep their state in DIR/server-N (default: in memory)')
    .option('--restarts <n>', 'how often a process that keeps failing is started again', integerArgument, 5)
    .option('--stop-timeout <s>', 'seconds a process may take to end before it is killed', secondsArgument)
    .addHelpText(
      'after',
      `
Each process finds its place in PSLIB_ROLE (server or worker), PSLIB_RANK, PSLIB_WORLD_SIZE and
PSLIB_SERVERS; fromEnvironment() reads them. Ctrl-C stops workers first, then servers; twice, at once.

Example:
  pslib launch --servers 2 --workers 4 -- node train.js`,
    )
    .action(async (command: string[], flags: Flags) => {
      process.exitCode = await runJob(command, flags);
    });
}

async function runJob(command: string[], flags: Flags): Promise<number> {
  const { workers, serve, connect, port, dataDir, restarts, stopTimeout } = flags;
  const own = [process.execPath, ...process.execArgv, process.argv[1] as string];
  const job = launch({
    ...{ command, workers, servers: flags.servers ?? (connect === undefined ? 1 : 0) },
    ...(serve === undefined ? {} : { serverCommand: [...own, 'serve', serve] }),
    ...(connect === undefined ? {} : { connect: connect.flatMap((urls) => urls.split(',')) }),
    ...(port === undefined ? {} : { port }),
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(stopTimeout === undefined ? {} : { stopTimeoutMs: stopTimeout * 1000 }),
    restart: { retries: restarts },
  });
  const view = new LaunchView(job);
  const onSignal = (signal: NodeJS.Signals): void => job.stop(signal);
  // Whoever read our output has gone: the job must not be left behind.
  const onBroken = (): void => {
    view.mute();
    job.stop('SIGTERM');
  };
  process.stdout.on('error', onBroken);
  process.stderr.on('error', onBroken);
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  try {
    const { exitCode } = await job.ended;
    view.end(exitCode);
    return exitCode;
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
  }
}
