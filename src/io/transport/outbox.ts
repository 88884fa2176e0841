/**
 * The way out of one connection: small messages at once, large transfers chunk by chunk while the
 * system takes them. So at most a window of a transfer is in memory, and a small message never
 * waits behind more than that window. Transfers go out one after the other, in order.
 */
import { encodeFrame } from '../../core/protocol/codec.js';
import type { Message } from '../../core/protocol/messages.js';
import type { OutgoingStream } from '../../core/protocol/outgoingStream.js';
import type { Transport } from './transport.js';

/** Sends messages and streams over one transport. */
export class Outbox {
  readonly #transport: Transport;
  readonly #windowBytes: number;
  readonly #onStreamEnded: (id: number) => void;
  readonly #streams: OutgoingStream[] = [];
  #isPumping = false;
  #isClosed = false;

  /** `onStreamEnded` is called once per stream: when its last bytes are copied, or at `close`. */
  constructor(transport: Transport, windowBytes: number, onStreamEnded: (id: number) => void) {
    this.#transport = transport;
    this.#windowBytes = windowBytes;
    this.#onStreamEnded = onStreamEnded;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#transport.bufferedBytes;
  }

  /** Streams that are not wholly sent. */
  get pendingStreams(): number {
    return this.#streams.length;
  }

  /** Sends one message now; its payload is copied before this returns. */
  send(message: Message, payload?: Uint8Array): void {
    if (!this.#isClosed) this.#transport.send(encodeFrame(message, payload));
  }

  /** Sends a transfer after those before it. */
  stream(stream: OutgoingStream): void {
    if (this.#isClosed) {
      this.#onStreamEnded(stream.id);
      return;
    }
    this.#streams.push(stream);
    this.#pump();
  }

  /** Drops what is not sent. Every stream is reported as ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams.splice(0)) this.#onStreamEnded(stream.id);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (!this.#isClosed && this.#streams.length > 0 && this.#transport.bufferedBytes < this.#windowBytes) {
      const stream = this.#streams[0] as OutgoingStream;
      const part = stream.next();
      if (part === undefined) {
        this.#streams.shift();
        this.#onStreamEnded(stream.id);
        continue;
      }
      this.#transport.send(encodeFrame(part.message, part.payload), () => this.#pump());
    }
    this.#isPumping = false;
  }
}
