/** Collects the effects of one step of the worker core, in order. */
import type { PsError } from '../base/errors.js';
import type { WorkerMessage } from '../protocol/messages.js';
import type { OutgoingStream } from '../protocol/outgoingStream.js';
import type { RequestValue, WorkerEffect, WorkerObservation } from './events.js';

/** The effects of a step so far. */
export class Effects {
  #list: WorkerEffect[] = [];

  /** What was collected; the next step begins with nothing. */
  take(): readonly WorkerEffect[] {
    const list = this.#list;
    this.#list = [];
    return list;
  }

  add(effect: WorkerEffect): void {
    this.#list.push(effect);
  }

  send(message: WorkerMessage, payload?: Uint8Array): void {
    this.#list.push({ kind: 'send', message, payload });
  }

  stream(stream: OutgoingStream): void {
    this.#list.push({ kind: 'stream', stream });
  }

  /** Ends a request well; one of undefined has nobody waiting for it. */
  settle(request: number | undefined, value: RequestValue): void {
    if (request !== undefined) this.#list.push({ kind: 'settle', request, value });
  }

  /** Ends a request with an error; one of undefined has nobody waiting for it. */
  fail(request: number | undefined, error: PsError): void {
    if (request !== undefined) this.#list.push({ kind: 'fail', request, error });
  }

  observe(observation: WorkerObservation): void {
    this.#list.push({ kind: 'observe', observation });
  }
}
