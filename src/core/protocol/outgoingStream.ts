/**
 * A large transfer as a sequence of messages that its sender takes one at a time, when the
 * connection has room. The bytes it hands out are views of the memory that is being sent; the
 * sender copies or writes them before it takes the next.
 */
import type { Message } from './messages.js';

/** One message of a stream. */
export interface OutgoingPart {
  readonly message: Message;
  readonly payload: Uint8Array;
  /** What follows `payload` without a gap, where the message's payload lies in several pieces of memory. */
  readonly more?: readonly Uint8Array[] | undefined;
  /** Called once when the payload's memory is no longer needed; not if the connection has ended before. */
  readonly release?: (() => void) | undefined;
}

/** A transfer under way. */
export interface OutgoingStream {
  /** Unique per core; names the stream in the core's `streamEnded` event. */
  readonly id: number;
  /** The next message, or undefined when all have been taken. */
  next(): OutgoingPart | undefined;
}
