/**
 * Whoever looks on while a simulated cluster runs: transcripts, checks, statistics. Onlookers change
 * nothing.
 */
import type { Message } from '../../core/protocol/messages.js';
import type { ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { WorkerObservation } from '../../core/worker/events.js';

/** What can be seen; every part is optional. Called in the order in which things happen. */
export interface ClusterObserver {
  /** A life of the server begins, with the state that was kept. */
  serverStarted?(): void;
  /** The server takes a message of `worker` (undefined before its Hello) over `connection`. */
  serverReceives?(connection: number, message: Message, payload: Uint8Array): void;
  /** The server has taken an event and wants these effects carried out. */
  serverStepped?(event: ServerEvent | undefined, effects: readonly ServerEffect[]): void;
  /** A worker's process takes a message of the server. */
  workerReceives?(worker: string, process: number, message: Message, payload: Uint8Array): void;
  workerObserves?(worker: string, process: number, observation: WorkerObservation): void;
  /** Anything else worth a line: faults, starts and ends of processes. */
  note?(actor: string, text: string): void;
}

/** Several onlookers as one. */
export class Observers implements Required<ClusterObserver> {
  readonly #all: readonly ClusterObserver[];

  constructor(all: readonly ClusterObserver[]) {
    this.#all = all;
  }

  serverStarted(): void {
    for (const each of this.#all) each.serverStarted?.();
  }

  serverReceives(connection: number, message: Message, payload: Uint8Array): void {
    for (const each of this.#all) each.serverReceives?.(connection, message, payload);
  }

  serverStepped(event: ServerEvent | undefined, effects: readonly ServerEffect[]): void {
    for (const each of this.#all) each.serverStepped?.(event, effects);
  }

  workerReceives(worker: string, process: number, message: Message, payload: Uint8Array): void {
    for (const each of this.#all) each.workerReceives?.(worker, process, message, payload);
  }

  workerObserves(worker: string, process: number, observation: WorkerObservation): void {
    for (const each of this.#all) each.workerObserves?.(worker, process, observation);
  }

  note(actor: string, text: string): void {
    for (const each of this.#all) each.note?.(actor, text);
  }
}
