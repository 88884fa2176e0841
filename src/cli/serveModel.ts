/**
 * Runs one server from its file to its end: says in plain lines what happens, reports from time to time how
 * training goes, and on a signal drains before it closes, so that no push is lost. A server that has failed for
 * good ends too: whoever watches the process can then start it again.
 */

import type { ParameterServerOptions } from '../io/server/serverOptions.js';
import { fromEnvironment } from '../launch/place/fromEnvironment.js';
import { authOf } from '../launch/place/tokens.js';
import { DEFAULT_PORT, environmentError } from '../launch/place/variables.js';
import { ParameterServer } from '../ops/parameterServer.js';
import { type ModelOptions, readModelFile } from './modelFile.js';

/** What the command line says; it goes before the environment, and that before the file. */
export interface ServeFlags {
  readonly port?: number;
  readonly host?: string;
  readonly dataDir?: string;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly dashboard?: boolean;
  readonly insecure?: boolean;
  readonly drainTimeout: number;
}

/** How often the progress of training is reported, if there is any. */
const REPORT_MS = 10_000;
/** How long a server that has failed may take to close: it may not be able to. */
const FAILED_CLOSE_MS = 10_000;

/** Serves the model in `file`. Resolves with an exit code when a signal has ended it, or a failure. */
export async function serve(file: string, flags: ServeFlags): Promise<number> {
  const { drainTimeout, ...given } = flags;
  const options = { ...(await readModelFile(file)), ...(await fromPlace()), ...given };
  const server = new ParameterServer({ port: DEFAULT_PORT, logger: lines, ...options });
  const failed = firstFailure(server);
  const ended = Promise.race([firstSignal(), failed]);
  await server.listen();
  lines.info(describeServer(server, options));
  if (options.dashboard === true) lines.info(`watch it at ${dashboardUrl(server.url)}`);
  const stopReports = reportProgress(server);
  const signal = await ended;
  stopReports();
  if (signal === undefined) lines.error('it can not go on: closing, to be started again');
  else lines.info(`${signal}: draining`);
  const isDrained =
    signal !== undefined &&
    (await attempt('drain', Promise.race([server.drain({ timeoutMs: drainTimeout * 1000 }), failed])));
  const { version } = server.stats();
  const isClosed = await attempt('close in good order', server.close());
  if (!isDrained || !isClosed || server.stats().failure !== undefined) return 1;
  lines.info(`stopped at version ${version}`);
  return 0;
}

/** Resolves when the server has failed for good; then the process ends soon, whatever still hangs. */
function firstFailure(server: ParameterServer): Promise<undefined> {
  return new Promise((resolve) => {
    server.on('error', () => {
      if (server.stats().failure === undefined) return;
      // Also if nothing is left that keeps the process alive while it closes.
      process.exitCode = 1;
      setTimeout(() => process.exit(1), FAILED_CLOSE_MS).unref();
      resolve(undefined);
    });
  });
}

/** Resolves to whether `action` went well; if not, it says why. */
async function attempt(what: string, action: Promise<void>): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    lines.error(`it could not ${what}: ${(error as Error).message}`);
    return false;
  }
}

/** Where the environment says that this server is to be, if it says anything. */
async function fromPlace(): Promise<Partial<ParameterServerOptions>> {
  if (!process.env.PSLIB_ROLE) {
    const auth = authOf(process.env);
    return auth === undefined ? {} : { auth };
  }
  const place = await fromEnvironment();
  if (place.role === 'server') return place.serverOptions;
  throw environmentError('PSLIB_ROLE', 'PSLIB_ROLE is "worker", but this is `pslib serve`');
}

/** Resolves at the first signal that asks to end; a second one ends the process at once. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, (signal) => {
        resolve(signal);
        process.once(name, () => process.exit(1));
      });
    }
  });
}

function describeServer(server: ParameterServer, { parameters, shard, dataDir }: ModelOptions): string {
  const count = Object.keys(parameters).length;
  const parts = [
    `${count} ${count === 1 ? 'parameter' : 'parameters'} at ${server.url}`,
    ...(shard === undefined || shard.count === 1 ? [] : [`shard ${shard.index} of ${shard.count}`]),
    dataDir === undefined ? 'in memory' : `state in ${dataDir}, version ${server.stats().version}`,
  ];
  return `serving ${parts.join('; ')}`;
}

/** Where the page is: below the path of the WebSocket. */
function dashboardUrl(url: string): string {
  return `${url.replace(/^ws/, 'http').replace(/\/$/, '')}/dashboard/`;
}

/** Says how far training is, when it has moved. Returns what ends that. */
function reportProgress(server: ParameterServer): () => void {
  let last = server.stats().version;
  const timer = setInterval(() => {
    const { version, minClock, training } = server.stats();
    if (version === last) return;
    const rate = Math.round((version - last) / (REPORT_MS / 1000));
    last = version;
    lines.info(`version ${version}, minClock ${minClock}, ${training} training, ${rate} updates/s`);
  }, REPORT_MS);
  return () => clearInterval(timer);
}

/** One line for each message: to stdout, or to stderr if something is wrong. */
const lines = {
  debug(): void {},
  info: (message: string): void => console.log(message),
  warn: (message: string): void => console.error(`warning: ${message}`),
  error: (message: string): void => console.error(`error: ${message}`),
};
