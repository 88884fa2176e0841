/** One open connection as the core sees it: who it is, and what is arriving on it. */
import type { Principal } from './events.js';
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
  /** A staging area that the first payload of a push is being written to. */
  reserved: Float32Array | undefined;
  protocolErrors: number;
  isPaused: boolean;
}
