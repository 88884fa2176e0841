/**
 * One push, from the caller's request to the server's answer. Its sequence number, clock and tick are
 * set when it is first sent and never change, so that it may be sent any number of times and is
 * applied once. It keeps the gradient until it is answered.
 */
import type { PsError } from '../base/errors.js';
import type { Push } from '../protocol/messages.js';
import { MessageType } from '../protocol/messages.js';
import type { OutgoingPart, OutgoingStream } from '../protocol/outgoingStream.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { PushCommand } from './events.js';
import { TensorRange } from './tensorRange.js';

/** What a push is given when it is first sent. */
interface Assignment {
  readonly seq: number;
  /** The clock it was made in. */
  readonly clock: number;
  /** The clock it raises the worker to. */
  readonly tick: number | undefined;
}

/** A push that is not answered yet. */
export class PushOperation {
  readonly kind = 'push';
  /** The caller's request; undefined once the caller has given it up. */
  request: number | undefined;
  /** What its request fails with as soon as the caller's arrays are free. */
  givenUp: PsError | undefined;
  /** Whether the present connection carries it, wholly or in part. */
  isSent = false;
  /** Undefined until it is first sent. */
  assignment: Assignment | undefined;
  readonly command: PushCommand;
  readonly #version: VersionStamp | undefined;
  #range: TensorRange;

  /** `version`: the one that the gradient was computed from. */
  constructor(command: PushCommand, version: VersionStamp | undefined) {
    this.request = command.request;
    this.command = command;
    this.#version = version;
    this.#range = new TensorRange(command.values);
  }

  get byteLength(): number {
    return this.#range.byteLength;
  }

  /** The clock that it raises the worker to. */
  get target(): number | undefined {
    return this.assignment?.tick;
  }

  /** Whether any connection has carried a part of it. */
  get wasSent(): boolean {
    return this.assignment !== undefined;
  }

  /** The connection is lost: it starts again at byte 0. */
  rewind(): void {
    this.isSent = false;
  }

  /** After a rollback it takes new numbers. */
  forgetClock(): void {
    this.assignment = undefined;
  }

  /** The caller waits no more and may change its arrays: the push goes on with copies. */
  detach(): void {
    this.request = undefined;
    this.#range = new TensorRange(this.command.values.map((array) => array.slice()));
  }

  /** The push as one message, its bytes in one piece. */
  whole(scratch: () => Uint8Array): { readonly message: Push; readonly payload: Uint8Array } {
    return { message: this.#message(), payload: this.#range.read(0, this.byteLength, scratch) };
  }

  /** The message that begins the push, with its first `bytes` bytes. */
  head(bytes: number, scratch: () => Uint8Array): OutgoingPart {
    return { message: this.#message(), ...this.#bytes(0, bytes, scratch) };
  }

  /** The message with the bytes [offset, offset + chunkBytes). */
  chunk(offset: number, chunkBytes: number, scratch: () => Uint8Array): OutgoingPart {
    const { seq } = this.assignment as Assignment;
    const end = Math.min(offset + chunkBytes, this.byteLength);
    return {
      message: { t: MessageType.pushChunk, seq, offset },
      ...this.#bytes(offset, end, scratch),
    };
  }

  #bytes(begin: number, end: number, scratch: () => Uint8Array): Pick<OutgoingPart, 'payload' | 'more'> {
    const [payload, ...more] = this.#range.pieces(begin, end) ?? [];
    return payload === undefined ? { payload: this.#range.read(begin, end, scratch) } : { payload, more };
  }

  #message(): Push {
    const { seq, clock, tick } = this.assignment as Assignment;
    const { tensors, rows, metrics, examples, normSquared, data } = this.command;
    return {
      t: MessageType.push,
      seq,
      clock,
      version: this.#version,
      tensors,
      bytes: this.byteLength,
      tick,
      metrics,
      examples,
      normSquared,
      rows,
      data,
    };
  }
}

/** The messages of a push, one after the other, for one connection. */
export class PushStream implements OutgoingStream {
  readonly id: number;
  readonly #push: PushOperation;
  readonly #chunkBytes: number;
  #offset = 0;
  #isBegun = false;
  /** Memory for chunks that span arrays, which the system has taken. */
  readonly #free: Uint8Array[] = [];

  constructor(id: number, push: PushOperation, chunkBytes: number) {
    this.id = id;
    this.#push = push;
    this.#chunkBytes = chunkBytes;
  }

  next(): OutgoingPart | undefined {
    // A chunk that spans arrays is copied to memory of its own: the system may take it after the next one is asked for.
    let copied: Uint8Array | undefined;
    const scratch = (): Uint8Array => {
      copied = this.#free.pop() ?? new Uint8Array(this.#chunkBytes);
      return copied;
    };
    const part = this.#part(scratch);
    const memory = copied;
    if (part === undefined || memory === undefined) return part;
    return { ...part, release: () => this.#free.push(memory) };
  }

  #part(scratch: () => Uint8Array): OutgoingPart | undefined {
    const push = this.#push;
    if (!this.#isBegun) {
      this.#isBegun = true;
      // Of several chunks the first message brings none: then every payload has its place when it comes.
      this.#offset = push.byteLength <= this.#chunkBytes ? push.byteLength : 0;
      return push.head(this.#offset, scratch);
    }
    if (this.#offset >= push.byteLength) return undefined;
    const part = push.chunk(this.#offset, this.#chunkBytes, scratch);
    this.#offset = Math.min(this.#offset + this.#chunkBytes, push.byteLength);
    return part;
  }
}
