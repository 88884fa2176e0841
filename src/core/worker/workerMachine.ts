/** What a shell drives: the core of a worker, of one server or of a group. */
import type { Message } from '../protocol/messages.js';
import type { Catalogue } from '../tensor/catalogue.js';
import type { WorkerEffect, WorkerEvent } from './events.js';

/** A worker's logic as a function of events to effects. */
export interface WorkerMachine {
  /** The model; undefined before the first connection. */
  readonly catalogue: Catalogue | undefined;
  /** Servers: of a group several, once it is connected. */
  readonly servers: number;
  /** Iterations completed, as the servers confirmed. */
  readonly clock: number;
  /** The clock once everything that was asked for is done; undefined: nobody knows here. */
  readonly clockWhenDone?: number;
  /** By how many clocks a worker that pulls may be ahead of the slowest, as the servers said at the last connection. */
  readonly staleness: number;
  /** Whether it is connected. */
  readonly isOpen: boolean;
  /** Whether it has ended for good. */
  readonly hasEnded: boolean;
  /** When a `tick` is due, in the time of the events' `now`; Infinity: never. */
  nextTickAt(): number;
  /** Where a transport may write the payload of `message` of `server`, whose event follows. Changes nothing. */
  placeOf(message: Message, bytes: number, server?: number): Uint8Array | undefined;
  /** Takes one event; returns what the shell has to do, in order. */
  step(event: WorkerEvent): readonly WorkerEffect[];
}
