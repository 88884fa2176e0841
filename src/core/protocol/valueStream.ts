/**
 * Encoded values on their way out, as chunks: the pieces stand behind each other, and a chunk that lies
 * within one of them is a view of it.
 */
import type { Message } from './messages.js';
import type { OutgoingPart, OutgoingStream } from './outgoingStream.js';
import type { EncodedValue } from './valueCodec.js';

/** A piece that is longer is not copied for the sake of a full chunk. */
const LONG_PIECE_BYTES = 65_536;

/** The messages of a transfer. */
export interface ValueMessages {
  /** Begins it. */
  readonly head: Message;
  /** Carries what begins at byte `offset`. */
  chunk(offset: number): Message;
}

/** Joins `values` into one. */
export function joinValues(values: readonly EncodedValue[]): EncodedValue {
  return {
    pieces: values.flatMap(({ pieces }) => pieces),
    bytes: values.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** One transfer of values. */
export class ValueStream implements OutgoingStream {
  readonly id: number;
  /** Nothing more is sent. */
  isCancelled = false;
  readonly #value: EncodedValue;
  readonly #messages: ValueMessages;
  readonly #chunkBytes: number;
  #isBegun = false;
  #sent = 0;
  /** The piece that the next byte lies in, and where in it. */
  #piece = 0;
  #at = 0;

  constructor(id: number, value: EncodedValue, messages: ValueMessages, chunkBytes: number) {
    this.id = id;
    this.#value = value;
    this.#messages = messages;
    this.#chunkBytes = chunkBytes;
  }

  /** The message that begins it. */
  get head(): Message {
    return this.#messages.head;
  }

  next(): OutgoingPart | undefined {
    const { bytes } = this.#value;
    if (this.isCancelled || (this.#isBegun && this.#sent >= bytes)) return undefined;
    if (!this.#isBegun) {
      this.#isBegun = true;
      // Of several chunks the first message brings none: then every payload has its place when it comes.
      const payload = this.#take(bytes <= this.#chunkBytes ? bytes : 0);
      return { message: this.#messages.head, payload };
    }
    const message = this.#messages.chunk(this.#sent);
    return { message, payload: this.#take(this.#nextLength()) };
  }

  /** How much the next chunk holds: of a long piece a part, so that nothing is copied; of short ones several. */
  #nextLength(): number {
    const { pieces } = this.#value;
    let length = 0;
    for (let piece = this.#piece; piece < pieces.length && length < this.#chunkBytes; piece++) {
      const left = (pieces[piece] as Uint8Array).length - (piece === this.#piece ? this.#at : 0);
      if (left >= LONG_PIECE_BYTES) return length === 0 ? Math.min(left, this.#chunkBytes) : length;
      length += left;
    }
    return Math.min(length, this.#chunkBytes);
  }

  /** The next `length` bytes. */
  #take(length: number): Uint8Array {
    this.#sent += length;
    const { pieces } = this.#value;
    const first = pieces[this.#piece];
    if (first !== undefined && first.length - this.#at >= length) {
      const view = first.subarray(this.#at, this.#at + length);
      this.#advance(length);
      return view;
    }
    const copy = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const piece = pieces[this.#piece] as Uint8Array;
      const part = piece.subarray(this.#at, this.#at + length - filled);
      copy.set(part, filled);
      filled += part.length;
      this.#advance(part.length);
    }
    return copy;
  }

  #advance(length: number): void {
    this.#at += length;
    while (
      this.#at > 0 &&
      this.#at >= (this.#value.pieces[this.#piece]?.length ?? Number.POSITIVE_INFINITY)
    ) {
      this.#at = 0;
      this.#piece++;
    }
  }
}
