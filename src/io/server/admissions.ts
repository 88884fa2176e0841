/**
 * Who is connected and by which right. Rights end: a token is taken back, a function changes its mind. Each
 * connection's request can be judged again; one whose right is not what it was is ended, and comes back with the
 * token that its worker has then, or not at all.
 */
import type { IncomingMessage } from 'node:http';
import { PsError } from '../../core/base/errors.js';
import type { Principal } from '../../core/server/events.js';
import { timerMs } from '../time.js';
import type { Authenticate } from './auth.js';
import { type Entrant, settleWithin } from './upgrade.js';

/** What re-authentication works with. */
export interface AdmissionParts {
  /** How long one judgement may take; with no answer a connection stays. */
  readonly timeoutMs: number;
  /** How often everyone is judged again; Infinity: never. */
  readonly intervalMs: number;
  /** Ends a connection. */
  readonly close: (connection: number, error: PsError) => void;
  readonly onError: (cause: unknown) => void;
}

/** A slow answer about one holds up few others. */
const JUDGED_AT_ONCE = 16;

/** The open connections' rights. */
export class Admissions {
  readonly #parts: AdmissionParts;
  readonly #entrants = new Map<number, Entrant>();
  #authenticate: Authenticate | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(authenticate: Authenticate | undefined, parts: AdmissionParts) {
    this.#authenticate = authenticate;
    this.#parts = parts;
  }

  /** Judges from now on by `authenticate`. */
  setAuthenticate(authenticate: Authenticate): void {
    this.#authenticate = authenticate;
  }

  /** What an open connection may do. */
  roleOf(connection: number): Principal['role'] | undefined {
    return this.#entrants.get(connection)?.principal.role;
  }

  opened(connection: number, entrant: Entrant): void {
    this.#entrants.set(connection, entrant);
  }

  closed(connection: number): void {
    this.#entrants.delete(connection);
  }

  /** Starts to judge everyone now and then. Does not keep the process alive. */
  start(): void {
    const { intervalMs } = this.#parts;
    if (this.#authenticate === undefined || intervalMs === Number.POSITIVE_INFINITY) return;
    let isJudging = false;
    const judge = async (): Promise<void> => {
      if (isJudging) return;
      isJudging = true;
      await this.judgeAll();
      isJudging = false;
    };
    this.#timer = setInterval(() => void judge(), timerMs(intervalMs));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Judges every open connection again, several at a time; returns how many were ended. */
  async judgeAll(): Promise<number> {
    const queue = [...this.#entrants].values();
    const ended = await Promise.all(Array.from({ length: JUDGED_AT_ONCE }, () => this.#judge(queue)));
    return ended.reduce((sum, each) => sum + each, 0);
  }

  async #judge(queue: Iterable<[number, Entrant]>): Promise<number> {
    let ended = 0;
    for (const [connection, { principal, request }] of queue) {
      const isRight = await this.#isRight(principal, request);
      if (isRight || !this.#entrants.delete(connection)) continue;
      ended++;
      const message = 'the right to connect is not what it was: connect again';
      this.#parts.close(connection, new PsError('PS_REAUTHENTICATE', message));
    }
    return ended;
  }

  async #isRight(before: Principal, request: IncomingMessage): Promise<boolean> {
    if (this.#authenticate === undefined) return true;
    try {
      const now = await settleWithin(Promise.resolve(this.#authenticate(request)), this.#parts.timeoutMs);
      return now !== null && now.role === before.role && now.id === before.id;
    } catch (cause) {
      // Its failure takes nobody's right away.
      this.#parts.onError(cause);
      return true;
    }
  }
}
