/** Whom a worker's connection tells what has become of it, and what arrives on it. */
import type { PsError } from '../base/errors.js';
import type { Message } from '../protocol/messages.js';
import type { Welcome } from '../protocol/sessionMessages.js';

/** Who is told. */
export interface ConnectionOwner {
  /** A server said `welcome`. `previous`: the lineage of the last connection; undefined at the first. */
  onOpen(welcome: Welcome, previous: string | undefined): void;
  /** A message after Welcome. May throw `PS_PROTOCOL`: the connection is then given up. */
  onMessage(message: Message, payload: Uint8Array, now: number): void;
  onLost(): void;
  /** The connection is about to be closed for a while: the last thing to say on it. */
  onSleep(): void;
  /** Whether the system may still read a caller's arrays. */
  isTransferring(): boolean;
  /** Nothing will be sent any more. `error`: why, if nobody asked for it. */
  onEnded(error: PsError | undefined): void;
}
