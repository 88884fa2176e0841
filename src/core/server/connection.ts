/** One open connection as the core sees it: who it is, and what is arriving on it. */
import type { Principal } from './events.js';
import type { IncomingIds } from './incomingIds.js';
import type { IncomingPush } from './intake.js';
import type { Session } from './session.js';

/** Volatile state of a connection. */
export interface Connection {
  readonly id: number;
  readonly principal: Principal;
  /** When it must have said hello. */
  readonly helloBy: number;
  session: Session | undefined;
  /** The push whose chunks are arriving. */
  incoming: IncomingPush | undefined;
  /** The pull of rows whose ids are arriving. */
  asking: IncomingIds | undefined;
  /** A staging area that the first payload of a push is being written to. */
  reserved: Float32Array | undefined;
  protocolErrors: number;
  isPaused: boolean;
  /** Its worker has its Welcome, and takes Staleness. */
  hearsStaleness: boolean;
}

/** What is under way on a connection. */
export interface ConnectionStatus {
  /** Its Hello was welcomed. */
  readonly isGreeted: boolean;
  /** A push or ids of rows arrive, and the server reads. */
  readonly isReceiving: boolean;
  /** Its worker computes: it can neither read nor send now. */
  readonly isComputing: boolean;
  /** A transfer of it holds what others have waited for, for too long. */
  readonly isHoldingUp: boolean;
}

/** Whether a push or ids of rows arrive, and the server reads. */
export function isReceiving({ incoming, asking, isPaused }: Connection): boolean {
  return (incoming !== undefined || asking !== undefined) && !isPaused;
}

/** A connection on which nothing has happened yet. */
export function newConnection(id: number, principal: Principal, helloBy: number): Connection {
  return {
    ...{ id, principal, helloBy },
    session: undefined,
    incoming: undefined,
    asking: undefined,
    reserved: undefined,
    protocolErrors: 0,
    isPaused: false,
    hearsStaleness: false,
  };
}
