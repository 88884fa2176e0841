/** The server's answers about tasks, matched to the requests in flight: what it hands out, and that results have come. */
import { PsError } from '../base/errors.js';
import { MessageType } from '../protocol/messages.js';
import type {
  DataLease,
  LeaseChunk,
  TaskAck,
  TaskLeases,
  TaskServerMessage,
} from '../protocol/taskMessages.js';
import type { Effects } from './effects.js';
import { unexpected } from './faults.js';
import type { LeaseOperation } from './leaseOperation.js';
import type { Operations } from './operations.js';

/** Takes answers about tasks. */
export class TaskAnswers {
  readonly #effects: Effects;
  readonly #operations: Operations;

  constructor(effects: Effects, operations: Operations) {
    this.#effects = effects;
    this.#operations = operations;
  }

  /** Where the payload of `chunk` may be written before it is handed in; undefined: nowhere. */
  place(chunk: LeaseChunk, bytes: number): Uint8Array | undefined {
    const operation = this.#operations.withWire(chunk.request);
    return operation?.kind === 'lease' ? operation.place(chunk, bytes) : undefined;
  }

  /** Throws `PS_PROTOCOL` if `message` does not fit. */
  on(message: TaskServerMessage, payload: Uint8Array): void {
    switch (message.t) {
      case MessageType.dataLease:
      case MessageType.taskLeases:
        this.#begin(message, payload);
        return;
      case MessageType.leaseChunk: {
        const operation = this.#find(message.request);
        if (operation?.chunk(message, payload)) this.#end(operation);
        return;
      }
      case MessageType.revoke:
        this.#effects.observe({ kind: 'revoked', leases: message.leases });
        return;
      case MessageType.taskAck:
        this.#acknowledge(message);
        return;
    }
  }

  #begin(message: DataLease | TaskLeases, payload: Uint8Array): void {
    const operation = this.#find(message.request);
    if (operation === undefined) return;
    try {
      if (operation.begin(message, payload)) this.#end(operation);
    } catch (error) {
      if (!(error instanceof PsError) || error.code !== 'PS_LIMIT') throw error;
      this.#operations.remove(operation);
      this.#effects.fail(operation.request, error);
    }
  }

  #end(operation: LeaseOperation): void {
    this.#operations.remove(operation);
    this.#effects.settle(operation.request, operation.answer());
  }

  #acknowledge({ request }: TaskAck): void {
    const operation = this.#operations.withWire(request);
    if (operation === undefined) return;
    if (operation.kind !== 'results') throw unexpected('an acknowledgement of another request');
    this.#operations.remove(operation);
    this.#effects.settle(operation.request, undefined);
  }

  /** The request that is answered; undefined: it was given up. */
  #find(wire: number): LeaseOperation | undefined {
    const operation = this.#operations.withWire(wire);
    if (operation !== undefined && operation.kind !== 'lease') throw unexpected('tasks for another request');
    return operation;
  }
}
