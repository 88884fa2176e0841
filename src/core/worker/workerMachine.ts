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
  /** The clock once everything that was asked for is done. */
  readonly clockWhenDone: number;
  /** Whether it is in the clock table, or will be with what it has asked for. */
  readonly isInTable: boolean;
  /** By how many clocks a worker that pulls may be ahead of the slowest, as the servers said last. */
  readonly staleness: number;
  /** Names of the lives of the servers, as of the last connection of each. */
  readonly incarnations: string;
  /** Whether it is connected. */
  readonly isOpen: boolean;
  /** Whether it has ended for good. */
  readonly hasEnded: boolean;
  /** When a `tick` is due, in the time of the events' `now`; Infinity: never. */
  nextTickAt(): number;
  /** Where a transport may write the payload of `message` of `server`, whose event follows. Changes nothing. */
  placeOf(message: Message, bytes: number, server?: number): Uint8Array | undefined;
  /** The position of the server that holds the row of an id. REQUIRES: the model is known. */
  serverOfRow(low: number, high: number): number;
  /** Takes one event; returns what the shell has to do, in order. */
  step(event: WorkerEvent): readonly WorkerEffect[];
}
