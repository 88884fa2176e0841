/** The ids of a pull of rows that do not fit one message, as messages for one connection. */
import { MessageType } from '../protocol/messages.js';
import type { OutgoingPart, OutgoingStream } from '../protocol/outgoingStream.js';
import type { PullRows } from '../protocol/rowMessages.js';

/** PullRows without ids, then all of them in chunks. */
export class IdStream implements OutgoingStream {
  readonly id: number;
  readonly #message: PullRows;
  readonly #ids: Uint8Array;
  readonly #chunkBytes: number;
  #at = -1;

  /** `chunkBytes`: a multiple of 8. */
  constructor(id: number, message: PullRows, ids: Uint8Array, chunkBytes: number) {
    this.id = id;
    this.#message = message;
    this.#ids = ids;
    this.#chunkBytes = chunkBytes;
  }

  next(): OutgoingPart | undefined {
    if (this.#at < 0) {
      this.#at = 0;
      return { message: this.#message, payload: this.#ids.subarray(0, 0) };
    }
    if (this.#at >= this.#ids.length) return undefined;
    const offset = this.#at;
    const payload = this.#ids.subarray(offset, offset + this.#chunkBytes);
    this.#at += payload.length;
    return { message: { t: MessageType.rowIds, request: this.#message.request, offset }, payload };
  }
}
