/**
 * One request for a data shard or for generic tasks that is not answered yet. It says what the worker holds,
 * so it may be asked any number of times. The bytes of its answer are gathered here.
 */
import { PsError } from '../base/errors.js';
import { MessageType } from '../protocol/messages.js';
import type {
  DataLease,
  DataRequest,
  LeaseChunk,
  TaskLeases,
  TaskRequest,
} from '../protocol/taskMessages.js';
import type { LeaseAnswer, LeaseCommand } from './events.js';
import { unexpected } from './faults.js';

const NO_BYTES = new Uint8Array(0);

/** A request for tasks that is under way. */
export class LeaseOperation {
  readonly kind = 'lease';
  readonly command: LeaseCommand;
  readonly request: number;
  isSent = false;
  wire = 0;
  readonly target = undefined;
  #message: DataLease | TaskLeases | undefined;
  #bytes: Uint8Array = NO_BYTES;
  #received = 0;

  constructor(command: LeaseCommand) {
    this.command = command;
    this.request = command.request;
  }

  /** The connection is lost: what has arrived counts for nothing. */
  rewind(): void {
    this.isSent = false;
    this.#message = undefined;
    this.#received = 0;
  }

  forgetClock(): void {}

  /** The message that asks, numbered `wire`. */
  ask(wire: number): DataRequest | TaskRequest {
    this.isSent = true;
    this.wire = wire;
    const { of, want, concurrency } = this.command;
    const held = [...this.command.held];
    return of === 'data'
      ? { t: MessageType.dataRequest, request: wire, held, wants: want > 0 }
      : { t: MessageType.taskRequest, request: wire, held, want, concurrency };
  }

  /** Takes the head of the answer; true if it is complete. Throws `PS_PROTOCOL` if it does not fit, `PS_LIMIT` if it is too long. */
  begin(message: DataLease | TaskLeases, payload: Uint8Array): boolean {
    const isData = message.t === MessageType.dataLease;
    if (this.#message !== undefined || isData !== (this.command.of === 'data')) {
      throw unexpected('an answer to another request');
    }
    const bytes = (isData ? message.itemBytes : message.bytes) ?? 0;
    const { maxBytes, into = NO_BYTES } = this.command;
    if (bytes > maxBytes) {
      const text = `the server hands out ${bytes} bytes at once; limits.maxTaskBytes is ${maxBytes}`;
      throw new PsError('PS_LIMIT', text);
    }
    this.#message = message;
    this.#bytes = into.length >= bytes ? into.subarray(0, bytes) : new Uint8Array(bytes);
    return this.#take(payload);
  }

  /** Takes more of the answer; true if it is complete. Throws `PS_PROTOCOL` if it does not fit. */
  chunk({ offset }: LeaseChunk, payload: Uint8Array): boolean {
    if (this.#message === undefined || offset !== this.#received) throw unexpected('a chunk out of order');
    return this.#take(payload);
  }

  /** Where the payload of a chunk, the next of the answer, may be written before it is taken. */
  place({ offset }: LeaseChunk, bytes: number): Uint8Array | undefined {
    const isNext = this.#message !== undefined && offset === this.#received;
    return isNext && offset + bytes <= this.#bytes.length
      ? this.#bytes.subarray(offset, offset + bytes)
      : undefined;
  }

  /** Requires a complete answer. */
  answer(): LeaseAnswer {
    return { message: this.#message as DataLease | TaskLeases, bytes: this.#bytes };
  }

  #take(payload: Uint8Array): boolean {
    const bytes = this.#bytes;
    if (this.#received + payload.length > bytes.length) throw unexpected('more bytes than were announced');
    const isThere =
      payload.buffer === bytes.buffer && payload.byteOffset === bytes.byteOffset + this.#received;
    if (!isThere) bytes.set(payload, this.#received);
    this.#received += payload.length;
    return this.#received === bytes.length;
  }
}
