/**
 * Runs one server from its file to its end: says in plain lines what happens, reports from time to time how
 * training goes, and on a signal drains before it closes, so that no push is lost.
 */

import type { ParameterServerOptions } from '../io/server/serverOptions.js';
import { fromEnvironment } from '../launch/place/fromEnvironment.js';
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

/** The token in the manifests of `deploy`. */
const PLACEHOLDER = 'replace-me';
/** How often the progress of training is reported, if there is any. */
const REPORT_MS = 10_000;

/** Serves the model in `file`. Resolves with an exit code when a signal has ended it. */
export async function serve(file: string, flags: ServeFlags): Promise<number> {
  const { drainTimeout, ...given } = flags;
  const options = { ...(await readModelFile(file)), ...(await fromPlace()), ...given };
  if (options.auth === PLACEHOLDER) {
    throw environmentError(
      'PSLIB_TOKEN',
      `the token is "${PLACEHOLDER}", which everyone can read: make one of your own`,
    );
  }
  const server = new ParameterServer({ port: DEFAULT_PORT, logger: lines, ...options });
  const signalled = firstSignal();
  await server.listen();
  lines.info(describeServer(server, options));
  if (options.dashboard === true) lines.info(`watch it at ${dashboardUrl(server.url)}`);
  const stopReports = reportProgress(server);
  const signal = await signalled;
  stopReports();
  lines.info(`${signal}: draining`);
  await server.drain({ timeoutMs: drainTimeout * 1000 });
  const { version } = server.stats();
  await server.close();
  lines.info(`stopped at version ${version}`);
  return 0;
}

/** Where the environment says that this server is to be, if it says anything. */
async function fromPlace(): Promise<Partial<ParameterServerOptions>> {
  const { PSLIB_ROLE, PSLIB_TOKEN } = process.env;
  if (!PSLIB_ROLE) return PSLIB_TOKEN ? { auth: PSLIB_TOKEN } : {};
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
