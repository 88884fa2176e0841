/** The way into one server: requests are judged, counted and turned into connections, and judged again later. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Observation } from '../../core/server/events.js';
import { includesRole, type Role } from '../../core/server/rights.js';
import { Admissions } from './admissions.js';
import { type Auth, authenticateBy } from './auth.js';
import type { Commands } from './commands.js';
import { type CoreRunner, maxMessageBytes } from './coreRunner.js';
import type { CheckedServerOptions } from './serverOptions.js';
import { UpgradeDesk } from './upgrade.js';

/** Lets connections in. */
export class Entrance {
  readonly #desk: UpgradeDesk;
  readonly #admissions: Admissions;
  readonly #hasAuth: boolean;

  constructor(
    options: CheckedServerOptions,
    runner: CoreRunner,
    commands: Commands,
    observe: (observation: Observation) => void,
  ) {
    const { authenticate, insecure, path, allowedOrigins, dashboard } = options;
    const { limits } = options.core;
    const onError = (cause: unknown): void => {
      const error = new PsError('PS_INTERNAL', `the user's auth failed: ${String(cause)}`, { cause });
      observe({ kind: 'error', error });
    };
    this.#hasAuth = authenticate !== undefined;
    this.#admissions = new Admissions(authenticate, {
      timeoutMs: limits.helloTimeoutMs,
      intervalMs: limits.reauthenticateMs,
      close: (connection, error) => commands.command((_context, each) => each.close(connection, error)),
      onError,
    });
    const onClosed = (connection: number): void => this.#admissions.closed(connection);
    this.#desk = new UpgradeDesk({
      path,
      allowedOrigins,
      hasPage: dashboard,
      authenticate,
      isPublic: insecure,
      maxMessageBytes: maxMessageBytes(limits.chunkBytes),
      maxFragments: limits.maxFragments,
      connections: limits,
      authTimeoutMs: limits.helloTimeoutMs,
      probeAfterMs: Math.max(1000, Math.min(limits.pingMs, limits.leaseMs / 2)),
      onOpen: (entrant, open, wire) => {
        const connection = runner.connect(entrant.principal, open, wire, onClosed);
        this.#admissions.opened(connection, entrant);
      },
      onWarning: (message) => observe({ kind: 'warning', message }),
      onError,
    });
  }

  /** Takes an upgrade request if its path is ours; returns whether it was. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer, isReady: boolean): boolean {
    return this.#desk.handle(request, socket, head, isReady);
  }

  /** What an open connection may do. */
  roleOf(connection: number): Role | undefined {
    return this.#admissions.roleOf(connection);
  }

  /** Whether a page of `origin`, which makes `request`, may connect. */
  allowsOrigin(origin: string, request: IncomingMessage): boolean {
    return this.#desk.allowsOrigin(origin, request);
  }

  /** Whether an HTTP request comes from someone who may see the server's counts. Never rejects. */
  async mayMonitor(request: IncomingMessage): Promise<boolean> {
    const principal = await this.#desk.principalOf(request);
    return principal !== undefined && includesRole(principal.role, 'monitor');
  }

  start(): void {
    this.#admissions.start();
  }

  stop(): void {
    this.#desk.close();
    this.#admissions.stop();
  }

  /** See `ParameterServer.setAuth`. */
  async setAuth(auth: Auth): Promise<number> {
    if (!this.#hasAuth)
      throw invalidArgument('auth', 'none', 'an option of the server before it can be changed');
    const authenticate = authenticateBy(auth);
    this.#desk.setAuthenticate(authenticate);
    this.#admissions.setAuthenticate(authenticate);
    return this.#admissions.judgeAll();
  }

  /** See `ParameterServer.reauthenticate`. */
  async judgeAll(): Promise<number> {
    return this.#admissions.judgeAll();
  }
}
